"""Tests of the metadata of modules in dist repositories, on repositories of createrepo_c. They need
Koji's own modules: KOJI_SRC names a checkout for scripts/test-plugins."""

import contextlib
import gzip
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'module_dist_repo.py')


def load():
    spec = importlib.util.spec_from_file_location('module_dist_repo', PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plugin = load()
GREETER = {'name': 'greeter', 'stream': 's-1', 'version': '20', 'context': 'c0ffee00'}
DOCUMENT = b'''document: modulemd
version: 2
data:
  name: greeter
  stream: "s-1"
  version: 20
  context: c0ffee00
  summary: Greetings
  description: Greetings
  license:
    module: [MIT-0]
'''


class Hub:
    """A session of a hub with module greeter, its content tag, and a tag that inherits that."""

    def __init__(self):
        self.tags = {'plain': {}, 'module-greeter': {'module.identity': GREETER},
                     'compose': {}, 11: {'module.identity': GREETER}, 12: {}, 'modules': {}}
        self.builds = {1: {'id': 1, 'name': 'greeter', 'version': 's_1', 'release': '20.c0ffee00', 'state': 1,
                           'nvr': 'greeter-s_1-20.c0ffee00', 'volume_name': 'DEFAULT'}}
        self.archives = [{'id': 50, 'filename': 'modulemd.x86_64.txt', 'size': len(DOCUMENT)},
                         {'id': 49, 'filename': 'modulemd.txt', 'size': 5},
                         {'id': 51, 'filename': 'modulemd.src.txt', 'size': 5}]
        self.packages = {50: [{'id': 100}, {'id': 101}], 51: [{'id': 100}]}
        self.events = []

    @contextlib.contextmanager
    def multicall(self):
        calls = []

        class Multi:
            def __getattr__(multi, name):
                def call(*args, **kwargs):
                    calls.append((types.SimpleNamespace(), getattr(self, name), args, kwargs))
                    return calls[-1][0]
                return call
        yield Multi()
        for answer, function, args, kwargs in calls:
            answer.result = function(*args, **kwargs)

    def getFullInheritance(self, tag, event=None):
        self.events.append(event)
        return [{'parent_id': 11}, {'parent_id': 12}] if tag == 'compose' else []

    def getTag(self, tag, event=None):
        self.events.append(event)
        return {'name': str(tag), 'extra': self.tags[tag]}

    def listTagged(self, tag, event=None, inherit=None, type=None):
        self.events.append(event)
        return [{'id': 1}] if tag == 'modules' else []

    def getBuild(self, which):
        return next((each for each in self.builds.values() if which in (each['id'], each['nvr'])), None)

    def listArchives(self, buildID, type):
        return self.archives

    def listRPMs(self, imageID):
        return self.packages[imageID]


class IdentityTest(unittest.TestCase):

    def test_content_nvr(self):
        tag = {'extra': {'module.identity': GREETER}}
        self.assertEqual(plugin.content_nvr(tag), 'greeter-s_1-20.c0ffee00')
        for odd in ({}, {'extra': None}, {'extra': {}}, {'extra': {'module.identity': 'x'}},
                    {'extra': {'module.identity': {'name': 'x'}}},
                    {'extra': {'module.identity': dict(GREETER, version=20)}}):
            self.assertIsNone(plugin.content_nvr(odd))

    def test_join(self):
        self.assertEqual(plugin.join_documents([b'a: 1', b'---\nb: 2\n...\n\n', b'\nc: 3\n']),
                         b'---\na: 1\n---\nb: 2\n...\n---\nc: 3\n')
        self.assertEqual(plugin.join_documents([]), b'')


@unittest.skipUnless(plugin.koji, 'needs Koji: set KOJI_SRC to a checkout')
@unittest.skipUnless(shutil.which('modifyrepo_c'), 'createrepo_c is not installed')
class RepositoryTest(unittest.TestCase):

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        patch = mock.patch.object(plugin.koji, 'pathinfo', plugin.koji.PathInfo(topdir=place.name))
        patch.start()
        self.addCleanup(patch.stop)
        self.repodir, self.hub = os.path.join(place.name, 'repo'), Hub()
        self.place = plugin.koji.pathinfo.typedir(self.hub.builds[1], 'module')
        os.makedirs(self.place)
        with open(os.path.join(self.place, 'modulemd.x86_64.txt'), 'wb') as document:
            document.write(DOCUMENT)
        os.mkdir(self.repodir)
        subprocess.run(['createrepo_c', '-q', self.repodir], check=True)
        self.before = self.state()

    def state(self):
        with open(os.path.join(self.repodir, 'repodata/repomd.xml')) as repomd:
            return repomd.read()

    def add(self, tag='module-greeter', ids=(100, 200), arch='x86_64', **opts):
        with open(os.path.join(self.repodir, 'kojipkgs'), 'w') as packages:
            json.dump({'%d.rpm' % each: {'id': each} for each in ids}, packages)
        plugin.add_modules('postCreateDistRepo', tag=tag, repodir=self.repodir, repo_id=7, arch=arch, keys=[],
                           opts=dict({'event': 33, 'inherit': True, 'latest': True}, **opts), taskinfo={},
                           session=self.hub)

    def modules(self):
        found = re.findall(r'href="(repodata/[^"]*modules[^"]*)"', self.state())
        self.assertLess(len(found), 2)
        if not found:
            return None
        path = os.path.join(self.repodir, found[0])
        with (gzip.open if path.endswith('.gz') else open)(path, 'rb') as text:
            return text.read()

    def test_tags(self):
        for tag, opts, has in (('module-greeter', {}, True), ('module-greeter', {'inherit': False}, True),
                               ('compose', {}, True), ('compose', {'inherit': False}, False),
                               ('modules', {}, True), ('plain', {}, False)):
            with self.subTest(tag=tag, opts=opts):
                self.setUp()
                self.add(tag, **opts)
                self.assertEqual(self.modules() is not None, has)
                self.assertEqual(set(self.hub.events), {33})
                if not has:
                    self.assertEqual(self.state(), self.before)

    def test_documents(self):
        self.add()
        self.assertEqual(self.modules(), b'---\ndocument: modulemd-defaults\nversion: 1\ndata:\n'
                                         b'  module: "greeter"\n...\n---\n' + DOCUMENT)
        self.assertEqual(sorted(os.listdir(self.repodir)), ['kojipkgs', 'repodata'])

    @unittest.skipUnless(subprocess.run(
        [sys.executable, '-c', 'import gi; gi.require_version("Modulemd", "2.0")'],
        stderr=subprocess.DEVNULL).returncode == 0, 'libmodulemd is not installed')
    def test_libmodulemd_reads_it(self):
        self.add()
        with open(os.path.join(self.repodir, 'modules.yaml'), 'wb') as text:
            text.write(self.modules())
        said = subprocess.run([sys.executable, '-c', '''
import gi, sys
gi.require_version("Modulemd", "2.0")
from gi.repository import Modulemd
index = Modulemd.ModuleIndex()
ok, failures = index.update_from_file(sys.argv[1], True)
module = index.get_module("greeter")
print(ok, [s.get_NSVCA() for s in module.get_all_streams()], module.get_defaults().get_default_stream())
''', text.name], stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertEqual(said, "True ['greeter:s-1:20:c0ffee00'] None\n")

    def test_again(self):
        """The record of an older repository, which createrepo_c may keep, does not stay."""
        self.add()
        longer = DOCUMENT + b'  references: {community: "https://x.example"}\n'
        with open(os.path.join(self.place, 'modulemd.x86_64.txt'), 'wb') as document:
            document.write(longer)
        self.hub.archives[0]['size'] = len(longer)
        self.add()
        self.assertTrue(self.modules().endswith(longer))
        self.add(ids=[200])
        self.assertIsNone(self.modules())
        files = os.listdir(os.path.join(self.repodir, 'repodata'))
        self.assertFalse([name for name in files if 'module' in name])

    def test_modules_without_packages(self):
        for name, change in {'none of its packages': {'ids': [200]}, 'sources': {'arch': 'src'},
                             'other architecture': {'arch': 's390x'},
                             'empty repository': {'ids': []}}.items():
            with self.subTest(name):
                self.add(**change)
                self.assertEqual(self.state(), self.before)

    def test_unfinished_build(self):
        self.hub.builds[1]['state'] = 3
        self.add()
        self.hub.builds = {}
        self.add()
        self.assertEqual(self.state(), self.before)

    def test_refused(self):
        """Better no repository than one that lacks its modules."""
        self.hub.archives[0]['size'] += 1
        with self.assertRaisesRegex(plugin.koji.GenericError, 'has %d bytes or more' % len(DOCUMENT)):
            self.add()
        os.remove(os.path.join(self.place, 'modulemd.x86_64.txt'))
        with self.assertRaises(OSError):
            self.add()
        with self.assertRaises(plugin.koji.GenericError):
            self.add(arch='../x')

    def test_no_modifyrepo(self):
        with mock.patch.dict(os.environ, PATH='/nonexistent'):
            with self.assertRaisesRegex(plugin.koji.GenericError, 'needs modifyrepo_c'):
                self.add()
        shutil.rmtree(os.path.join(self.repodir, 'repodata'))
        os.mkdir(os.path.join(self.repodir, 'repodata'))
        with open(os.path.join(self.repodir, 'repodata/repomd.xml'), 'w') as repomd:
            repomd.write('no XML')
        with self.assertRaisesRegex(plugin.koji.GenericError, 'modifyrepo_c failed'):
            self.add()


if __name__ == '__main__':
    unittest.main()
