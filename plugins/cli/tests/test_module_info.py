"""Tests of koji module-info, list-modules and module-prune. Those of the commands themselves need
Koji's own modules: KOJI_SRC names a checkout for scripts/test-plugins."""

import contextlib
import importlib.util
import io
import os
import types
import unittest
from unittest import mock

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'module_info.py')


def load():
    spec = importlib.util.spec_from_file_location('module_info_cli', PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plugin = load()


def build(number, nsvc, state=1, **more):
    name, stream, version, context = nsvc.split(':')
    found = {'build_id': number, 'name': name, 'version': stream.replace('-', '_'), 'state': state,
             'release': '%s.%s' % (version, context), 'owner_name': 'packager', 'task_id': None,
             'completion_ts': 86400.0, 'source': 'git+https://h/m#1',
             'extra': {'typeinfo': {'module': {'name': name, 'stream': stream, 'version': version,
                                               'context': context, 'content_koji_tag': 'module-' + name}}}}
    found['nvr'] = '%(name)s-%(version)s-%(release)s' % found
    found.update(more)
    return found


BUILDS = [build(1, 'a:s-1:9:c1'), build(2, 'a:s-1:10:c1'), build(3, 'a:s-1:10:c2'),
          build(4, 'a:s-1:11:c1', state=3), build(5, 'a:s-10:12:c1'), build(6, 'b:s:1:c1')]


def ids(builds):
    return [each['build_id'] for each in builds]


class IdentityTest(unittest.TestCase):

    def test_parse(self):
        self.assertEqual(plugin.parse_nsvc('a:s-1'), {'name': 'a', 'stream': 's-1'})
        self.assertEqual(plugin.parse_nsvc('a:1.2+x:20:c0ffee00'),
                         {'name': 'a', 'stream': '1.2+x', 'version': '20', 'context': 'c0ffee00'})
        for text in ('a', 'a:', ':b', 'a:b:c:d:e', 'a:*', 'a:b\n', '-a:b', 'a:b c', ''):
            with self.subTest(text):
                with self.assertRaises(ValueError):
                    plugin.parse_nsvc(text)

    def test_identity(self):
        self.assertEqual(plugin.identity(BUILDS[0]),
                         {'name': 'a', 'stream': 's-1', 'version': '9', 'context': 'c1'})
        bare = dict(BUILDS[0], extra=None)
        self.assertEqual(plugin.identity(bare)['stream'], 's_1')
        for extra in ({}, {'typeinfo': None}, {'typeinfo': {'module': []}}, {'typeinfo': {'image': {}}}):
            self.assertEqual(plugin.identity(dict(bare, extra=extra)), plugin.identity(bare))
        self.assertEqual(plugin.nsvc_text(plugin.identity(dict(bare, release='20'))), 'a:s_1:20')

    def test_order(self):
        """A version is a number; what has not become a build comes last."""
        self.assertEqual(ids(plugin.newest_first(BUILDS[:4])), [3, 2, 1, 4])

    def test_newest_of_streams(self):
        self.assertEqual(sorted(ids(plugin.newest_of_streams(BUILDS))), [2, 3, 5, 6])

    def test_dependencies(self):
        self.assertEqual(plugin.dependency_lines({'dependencies': [{
            'buildrequires': {'platform': ['f40'], 'go': []},
            'requires': {'platform': ['f40', 'f\x1b41']}}]}), [
            'Requires: platform:[f40, f?41]', 'Build requires: go:[] platform:[f40]'])
        self.assertEqual(plugin.dependency_lines({'dependencies': {'requires': {'platform': 'f28'}}}),
                         ['Requires: platform:[f28]'])
        for odd in (None, 'x', [7, {'requires': 'x'}]):
            self.assertEqual(plugin.dependency_lines({'dependencies': odd}), [])
        self.assertEqual(plugin.dependency_lines({}), [])


class Hub:
    """A session of a hub with the builds above."""

    def __init__(self):
        self.asked, self.pruned = [], []

    def listBuilds(self, **asked):
        self.asked.append(asked)
        found = [each for each in BUILDS if asked.get('packageID') in (None, each['name'])]
        return found[:asked.get('queryOpts', {}).get('limit')]

    def getBuild(self, which, strict=False):
        return next((each for each in BUILDS if which in (each['build_id'], each['nvr'])),
                    {'build_id': 99, 'nvr': 'bash-1-1'} if which == 99 else None)

    def getBuildType(self, info):
        return {} if info['build_id'] == 99 else {'module': {}}

    def listTags(self, number):
        return [{'name': 'dest'}]

    def getRepo(self, tag):
        return {'id': 7}

    def listTagged(self, tag, **asked):
        self.asked.append(asked)
        if asked.get('type') == 'module':
            return [dict(BUILDS[4], extra=None, tag_name=tag)]
        return [{'nvr': 'lib-1-1', 'build_id': 31}, {'nvr': 'app-1-1', 'build_id': 32}]

    def listArchives(self, buildID, type):
        return [{'id': 50, 'filename': 'modulemd.x86_64.txt', 'size': 1},
                {'id': 51, 'filename': 'build.log', 'size': 1},
                {'id': 52, 'filename': 'modulemd.src.txt', 'size': 1}]

    @contextlib.contextmanager
    def multicall(self):
        rpm = {'name': 'lib', 'epoch': None, 'version': '1', 'release': '1', 'arch': 'x86_64'}
        yield types.SimpleNamespace(listRPMs=lambda imageID: types.SimpleNamespace(result=[rpm]))

    def getTag(self, tag):
        return None if tag == 'none' else {'name': tag}

    def getPackageID(self, name):
        return 1 if name in 'ab' else None

    def getUser(self, name):
        return {'id': 8} if name == 'packager' else None

    def modulePrune(self, days, dry_run):
        self.pruned.append((days, dry_run))
        done = [each for each in self.pruned if not each[1]]
        row = {'tag': 'module-x-build', 'task_id': 17, 'ended': 86400.0, 'build': None}
        return [] if len(done) > 1 else [row]


@unittest.skipUnless(plugin.koji, 'needs Koji: set KOJI_SRC to a checkout')
class CommandTest(unittest.TestCase):

    def setUp(self):
        for name in ('activate_session', 'ensure_connection'):
            self.addCleanup(setattr, plugin, name, getattr(plugin, name))
            setattr(plugin, name, lambda *args: None)
        self.addCleanup(setattr, plugin, 'yaml', plugin.yaml)
        plugin.yaml = None
        self.hub, self.goptions = Hub(), types.SimpleNamespace(quiet=False, topurl='https://k.example/files')

    def run_command(self, command, *args, code=None):
        said, self.complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(self.complained):
            if code is None:
                command(self.goptions, self.hub, list(args))
            else:
                with self.assertRaises(SystemExit) as caught:
                    command(self.goptions, self.hub, list(args))
                self.assertEqual(caught.exception.code, code)
        return said.getvalue()

    def info(self, *args, **more):
        return self.run_command(plugin.anon_handle_module_info, *args, **more)

    def test_info(self):
        self.assertEqual(self.info('a:s-1', '--artifacts').splitlines(), [
            'MODULE: a:s-1:10:c2', 'Build: a-s_1-10.c2 [3]', 'State: COMPLETE', 'Built by: packager',
            'Source: git+https://h/m#1', 'Task: none', 'Finished: %s' % plugin.koji.formatTimeLong(86400.0),
            'Tags: dest', 'Content tag: module-a', 'Repository: https://k.example/files/repos/module-a/7',
            '  dnf --repofrompath=a-s-1,https://k.example/files/repos/module-a/7/\\$basearch '
            '--setopt=a-s-1.gpgcheck=0 module enable a:s-1',
            '  dnf --repofrompath=a-s-1,https://k.example/files/repos/module-a/7/\\$basearch '
            '--setopt=a-s-1.gpgcheck=0 module install a:s-1',
            'Components:', '  app-1-1 [32]', '  lib-1-1 [31]',
            'Artifacts:', '  x86_64: 1 packages', '    lib-0:1-1.x86_64',
            'Also: a:s-1:10:c1 [2], COMPLETE', 'Other versions: 2, see list-modules --name a', ''])
        self.assertEqual(self.hub.asked[0]['pattern'], 'a-s_1-*')

    def test_info_by_each_name(self):
        for name, want in {'5': 'a:s-10:12:c1', 'a-s_1-9.c1': 'a:s-1:9:c1', 'a:s-1:9': 'a:s-1:9:c1',
                           'a:s-1:10:c1': 'a:s-1:10:c1', 'a:s_1:10:c1': 'a:s-1:10:c1'}.items():
            with self.subTest(name):
                self.assertEqual(self.info(name).splitlines()[0], 'MODULE: ' + want)

    def test_info_of_none(self):
        for name, error in {'a:s-2': 'No such module: a:s-2', '98': 'No such module: 98',
                            '99': 'no build of a module', 'a:*': 'not name:stream'}.items():
            with self.subTest(name):
                self.assertIn('MODULE: b:s:1:c1', self.info(name, 'b:s', code=1))
                self.assertIn(error, self.complained.getvalue())
        self.info(code=2)

    def test_document(self):
        plugin.yaml = load().yaml
        if not plugin.yaml:
            self.skipTest('PyYAML is not installed')
        text = 'data: {summary: "Says\\u001b hello", dependencies: [{requires: {platform: [f40]}}]}'
        with mock.patch.dict(BUILDS[5]['extra']['typeinfo']['module'], modulemd_str=text):
            said = self.info('6')
        self.assertIn('Summary: Says? hello\nRequires: platform:[f40]\n', said)
        for bad in ('{', '!!python/object:os.system {}', '[' * 100000):
            with mock.patch.dict(BUILDS[5]['extra']['typeinfo']['module'], modulemd_str=bad):
                self.assertIn('lib-1-1', self.info('6'))
                self.assertIn('cannot read the document of b-s-1.c1', self.complained.getvalue())

    def list(self, *args, **more):
        return self.run_command(plugin.anon_handle_list_modules, *args, **more).splitlines()

    def test_list(self):
        self.assertEqual(self.list('--quiet'), ['a:s-1:9:c1', 'a:s-1:10:c1', 'a:s-1:10:c2', 'a:s-1:11:c1',
                                                'a:s-10:12:c1', 'b:s:1:c1'])
        self.assertEqual(self.hub.asked[-1], {'type': 'module', 'state': 1, 'queryOpts': {
            'order': '-build_id', 'limit': 200}})
        self.assertEqual(self.list('--quiet', '--latest'),
                         ['a:s-1:10:c1', 'a:s-1:10:c2', 'a:s-10:12:c1', 'b:s:1:c1'])
        self.assertEqual(self.list()[0].split(), ['Module', 'State', 'Built', 'by'])
        self.assertEqual(self.list()[2].split(), ['a:s-1:9:c1', 'COMPLETE', 'packager'])

    def test_list_of_some(self):
        self.list('--name', 'b', '--owner', 'packager', '--state', 'failed', '--limit', '0')
        self.assertEqual(self.hub.asked[-1], {'type': 'module', 'state': 3, 'packageID': 'b', 'userID': 8,
                                              'queryOpts': {'order': '-build_id'}})
        self.assertEqual(self.list('--quiet', '--limit', '2'), ['a:s-1:9:c1', 'a:s-1:10:c1'])
        self.assertIn('Only the newest 2', self.complained.getvalue())

    def test_list_of_tag(self):
        self.assertEqual(self.list('--tag', 'f40', '--inherit')[2].split(),
                         ['a:s_10:12:c1', 'f40', 'packager'])
        self.assertEqual(self.hub.asked[-1],
                         {'type': 'module', 'inherit': True, 'package': None, 'owner': None})

    def test_list_refused(self):
        for args in (['x'], ['--inherit'], ['--tag', 'none'], ['--state', 'odd'], ['--state', '1'],
                     ['--name', 'none'], ['--owner', 'none'], ['--tag', 'f40', '--state', 'failed']):
            with self.subTest(args):
                self.list(*args, code=2)

    def prune(self, *args, answer='', **more):
        with mock.patch('builtins.input', lambda question: answer):
            return self.run_command(plugin.handle_module_prune, *args, **more)

    def test_prune(self):
        """Nothing is deleted without a yes; afterwards all is, however often the hub must be asked."""
        asked = [(30, True)]
        for args, answer, want in ((['-n'], 'y', asked), ([], '', asked), ([], 'n', asked),
                                   (['--quiet'], 'no', asked), ([], 'y', asked + [(30, False)] * 2),
                                   (['--force', '--days', '0'], '', [(0, True), (0, False), (0, False)])):
            with self.subTest(args=args, answer=answer):
                self.hub.pruned = []
                said = self.prune(*args, answer=answer)
                self.assertEqual(self.hub.pruned, want)
                self.assertIn('module-x-build', said)
                self.assertEqual('Deleted 1 tags' in said, len(want) > 1)
        self.hub.pruned = []
        with mock.patch('builtins.input', mock.Mock(side_effect=EOFError)):
            self.run_command(plugin.handle_module_prune)
        self.assertEqual(self.hub.pruned, [(30, True)])
        self.prune('x', code=2)
        self.prune('--days', '-1', code=2)

    def test_prune_without_plugin(self):
        def no_such(*args):
            raise plugin.koji.GenericError('Invalid method: modulePrune')
        self.hub.modulePrune = no_such
        self.prune(code=1)


if __name__ == '__main__':
    unittest.main()
