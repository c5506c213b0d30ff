"""What the hub plugin does without a hub: names, checks, settings, and loading under any circumstances."""

import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import unittest

PLUGIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'module_build.py')
logging.disable(logging.CRITICAL)
sys.dont_write_bytecode = True


def load():
    spec = importlib.util.spec_from_file_location('module_build_under_test', PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plugin = load()


def identity(**changes):
    return dict({'name': 'nginx', 'stream': '1.16', 'version': '8010020200101120000', 'context': '9edba152'},
                **changes)


class NamesTest(unittest.TestCase):

    def test_tag_name(self):
        long = identity(stream='1.16' + 'x' * 300)
        for want, got in (
                ('module-nginx-1.16-8010020200101120000-9edba152', plugin.tag_name(identity())),
                ('scrmod-testmodule-master-20170816080815-37c6c57+7', plugin.tag_name(
                    {'name': 'testmodule', 'stream': 'master', 'version': '20170816080815',
                     'context': '37c6c57'}, 7)),
                # sha1 of nginx.1.16xxx….8010020200101120000.9edba152
                ('module-' + plugin.hashlib.sha1('.'.join(long[k] for k in (
                    'name', 'stream', 'version', 'context')).encode()).hexdigest()[:16],
                    plugin.tag_name(long)),
                (len('scrmod-') + 16 + len('+7'), len(plugin.tag_name(long, 7)))):
            self.assertEqual(want, got)

    def test_tag_name_length(self):
        # 256 with -build behind is the last that a hub takes
        rest = len(plugin.tag_name(identity(stream='')) + '-build')
        self.assertTrue(plugin.tag_name(identity(stream='s' * (256 - rest))).endswith('-9edba152'))
        self.assertEqual(len(plugin.tag_name(identity(stream='s' * (257 - rest)))), len('module-') + 16)

    def test_build_nvr(self):
        self.assertEqual(plugin.build_nvr(identity(stream='a-b-1')),
                         {'name': 'nginx', 'version': 'a_b_1', 'release': '8010020200101120000.9edba152'})


class ChecksTest(unittest.TestCase):

    def table(self, check, good, bad):
        for value, want in good:
            with self.subTest(good=value):
                self.assertEqual(check(value), want)
        for value in bad:
            with self.subTest(bad=value), self.assertRaises(ValueError):
                check(value)

    def test_source(self):
        good = ('https://src.example/modules/nginx#0123abcd', 'git+https://src.example/m?#refs/heads/1.16',
                'git://127.0.0.1/m.git#main', 'cli-build/1700000000.12345678.abcdefgh/nginx.yaml')
        self.table(plugin.check_source, [(s, s) for s in good], (
            None, 7, '', 'https://src.example/m', 'https://src.example/m#',
            'https://src.example/m#--upload-pack=x',
            'https://src.example/m #main', 'https://src.example/m\n#main', 'ext::sh -c id#main',
            '/etc/passwd',
            '../x/nginx.yaml', 'cli-build/../../nginx.yaml', 'cli-build/.hidden/nginx.yaml',
            'cli-build//nginx.yaml',
            'nginx.yaml', 'https://src.example/m#' + 'a' * 2048))

    def test_version(self):
        self.table(plugin.check_version, ((1, '1'), ('8010020200101120000', '8010020200101120000'),
                                          (2 ** 64 - 1, str(2 ** 64 - 1))),
                   (0, -1, True, 1.5, None, '', '007', '1e5', ' 1', '1\n', '\u0661', 2 ** 64, '9' * 4000))

    def test_opts(self):
        self.table(plugin.check_opts, (
            (None, {}), ({}, {}), ({'scratch': False, 'resume': None}, {}),
            ({'scratch': True, 'version': 7, 'stream': '1.16'},
             {'scratch': True, 'version': '7', 'stream': '1.16'}),
            ({'resume': 12, 'keep_going': True}, {'resume': 12, 'keep_going': True})), (
            [], 'scratch', {'scratch': 1}, {'scratch': 'yes'}, {'resume': '12'}, {'resume': -1},
            {'resume': True}, {'resume': 2 ** 31},
            {'name': '../x'}, {'name': '-x'}, {'stream': 'a b'}, {'stream': 'x' * 101}, {'owner': 'root'},
            {1: True}))

    def test_srpms(self):
        path = 'cli-build/1700000000.12345678.abcdefgh/perl-1-1.src.rpm'
        good = {'srpms': {'perl': path, 'perl-IO+x': 'a/b.src.rpm'}}
        self.table(plugin.check_opts, ((good, good), ({'srpms': {}}, {'srpms': {}})), (
            {'srpms': []}, {'srpms': {'perl': 7}}, {'srpms': {'../x': path}},
            {'srpms': {'perl': '../' + path}},
            {'srpms': {'perl': '/' + path}}, {'srpms': {'perl': 'perl-1-1.src.rpm'}},
            {'srpms': {'perl': 'cli-build/x/perl-1-1.rpm'}}, {'srpms': {1: path}},
            {'srpms': {'perl': 'a/' + 'x' * 1100 + '.src.rpm'}},
            {'srpms': {'c%d' % i: path for i in range(5001)}}))

    def test_finish(self):
        def finish(**changes):
            repodata = {'x86_64': ['tasks/1/1/repo', ['repomd.xml', 'a-primary.xml.zst']]}
            return dict({'repo_id': 7, 'directory': 'tasks/1/1/module', 'repodata': repodata}, **changes)

        def data(*files, directory='a/b'):
            return finish(repodata={'x86_64': [directory, list(files)]})
        good = finish()
        self.assertEqual(plugin.check_finish(good, ['x86_64'], False), good)
        scratch = finish(directory=None)
        self.assertEqual(plugin.check_finish(scratch, ['x86_64'], True), scratch)
        for bad in (None, [], {}, finish(more=1), finish(directory=None), finish(directory='/etc/ssl'),
                    finish(directory='../work/x'), finish(directory='tasks'), finish(repo_id='7'),
                    finish(repo_id=True), finish(repodata=None), finish(repodata=[]), finish(repodata={}),
                    finish(repodata={'i386': good['repodata']['x86_64']}),
                    finish(repodata={'x86_64': ['a/b']}), finish(repodata={'x86_64': ['a/b', 'repomd.xml']}),
                    data(), data('a.xml'), data('repomd.xml', '../a'), data('repomd.xml', 'a/b'),
                    data('repomd.xml', ''), data('repomd.xml', '.a'), data('repomd.xml', 7),
                    data('repomd.xml', 'repomd.xml'), data('repomd.xml', 'pkglist'),
                    data('repomd.xml', 'x' * 256),
                    data('repomd.xml', *['f%d' % i for i in range(1000)]),
                    data('repomd.xml', directory='a/../b'), data('repomd.xml', directory='a/.b')):
            with self.subTest(bad=bad), self.assertRaises(ValueError):
                plugin.check_finish(bad, ['x86_64'], False)
        with self.assertRaises(ValueError):
            plugin.check_finish(good, ['x86_64'], True)  # a scratch build imports nothing

    def test_metadata(self):
        want = {'build': {'name': 'm', 'version': '1', 'release': '2.c', 'build_id': 5, 'task_id': 6},
                'content_generator': 'cg', 'tag': 'module-m-1-2-c'}

        def metadata(build=None, extra=None, module=None, output=None, **changes):
            module = dict({'content_koji_tag': 'module-m-1-2-c'}, **(module or {}))
            build = dict(want['build'], source='', start_time=1.5, end_time=2,
                         extra=dict({'typeinfo': {'module': module}}, **(extra or {})), **(build or {}))
            output = [dict({'type': 'log', 'filename': 'build.log'}, **(output or {})),
                      {'type': 'file', 'filename': 'modulemd.txt'}]
            return dict({'metadata_version': 0, 'build': build, 'output': output,
                         'buildroots': [{'content_generator': {'name': 'cg'}}]}, **changes)
        self.assertEqual(plugin.check_metadata(metadata(), want), ['build.log', 'modulemd.txt'])
        wrong = [dict(metadata(), build=dict(metadata()['build'], **change)) for change in (
            {'name': 'n'}, {'version': 1}, {'release': '2'}, {'build_id': '5'}, {'task_id': None},
            {'task_id': 6.5},
            {'source': None}, {'source': 'x' * 2049}, {'start_time': 'now'}, {'end_time': float('nan')},
            {'end_time': -1}, {'extra': None}, {'extra': {'typeinfo': {'module': 'x'}}}, {'draft': True})]
        wrong += [metadata(extra=extra) for extra in (
            {'image': {}}, {'maven': {}}, {'container_koji_task_id': 9}, {'typeinfo': []},
            {'typeinfo': {'module': {'content_koji_tag': 'module-m-1-2-c'}, 'rpm': {}}})]
        wrong += [metadata(output=output) for output in (
            {'type': 'rpm'}, {'type': []}, {'filename': '../x'}, {'filename': 7},
            {'filename': 'modulemd.txt'},
            {'relpath': '../..'}, {'subdir': 'x'}, {'metadata_only': True})]
        wrong += [metadata(**changes) for changes in (
            {'module': {'content_koji_tag': 'module-other'}}, {'buildroots': []}, {'buildroots': [7]},
            {'buildroots': [{'content_generator': {'name': 'other'}}]}, {'metadata_version': 1})]
        wrong += [None, 7, [], {}, dict(metadata(), output=[]), dict(metadata(), output={'a': 1}),
                  dict(metadata(), build=[])]
        for bad in wrong:
            with self.subTest(bad=bad), self.assertRaises(ValueError):
                plugin.check_metadata(bad, want)

    def test_policy_asks(self):
        def rule(name, action):
            return [[plugin.SimpleNamespace(name=name)], False, action]
        nested = [rule('all', [rule('tag', 'allow'), rule('module_component', 'allow')])]
        for want, rules in ((False, []), (False, [rule('all', 'allow')]),
                            (False, [rule('x', 'module_component')]),
                            (True, [rule('all', 'deny'), rule('module_component', 'allow')]), (True, nested)):
            self.assertEqual(plugin._asks(rules, 'module_component'), want)

    def test_identity(self):
        self.table(plugin.check_identity, ((identity(), identity()), (identity(version=5),
                                                                      identity(version='5'))), (
            None, {}, [], identity(extra=1), identity(name=''), identity(name='a/b'), identity(stream='-1'),
            identity(context=''), identity(context='9edba152_1'), identity(context='a' * 11),
            identity(version='x')))
        self.assertEqual(plugin.check_identity(identity(context='9edba152_1'), True)['context'], '9edba152_1')

    def test_pin(self):
        deep = {}
        for _ in range(100000):
            deep = {'a': deep}
        self.table(plugin.check_pin, ((None, {}), ({}, {}), ({'a': [1, 'b', None]}, {'a': [1, 'b', None]})), (
            [1], 'a', {'a': b''}, {'a': float('nan')}, {'a': 'x' * (1 << 20)}, deep))

    def test_plan(self):
        plan, checksum = plugin.check_plan({'packages': ['a'], 'macros': {'dist': '.x', 'f(n:)': 'a\\\nb'}})
        self.assertEqual(plan, {'packages': ['a'], 'macros': {'dist': '.x', 'f(n:)': 'a\\\nb'},
                                'requires': [], 'groups': {}, 'arches': []})
        again = plugin.check_plan({'macros': {'f(n:)': 'a\\\nb', 'dist': '.x'}, 'packages': ['a'],
                                   'arches': None})
        self.assertEqual(again[1], checksum)
        self.assertNotEqual(plugin.check_plan({'packages': ['b']})[1], checksum)
        for bad in (None, [], {'perm': 'admin'}, {'packages': 'a'}, {'packages': ['a/b']}, {'packages': [1]},
                    {'packages': ['a'] * 5001}, {'requires': ['a']}, {'requires': [True]},
                    {'arches': ['x86 64']},
                    {'groups': {'other': []}}, {'groups': {'build': 'bash'}}, {'groups': {'build': ['a b']}},
                    {'macros': {'dist': ''}}, {'macros': {'a b': 'x'}}, {'macros': {'%a': 'x'}},
                    {'macros': {'f(a b)': 'x'}}, {'macros': {'a': 1}}, {'macros': {'a': 'x' * 65537}},
                    {'macros': {1: 'x'}}):
            with self.subTest(bad=bad), self.assertRaises(ValueError):
                plugin.check_plan(bad)


class SettingsTest(unittest.TestCase):

    def read(self, text):
        with tempfile.NamedTemporaryFile('wb', suffix='.conf') as conf:
            conf.write(text)
            conf.flush()
            return plugin.read_config(conf.name)

    def test_settings(self):
        default = {'channel': '', 'content_generator': 'module-builder'}
        self.assertEqual(plugin.read_config('/nonexistent/module_build.conf'), (default, None))
        self.assertEqual(self.read(b''), (default, None))
        self.assertEqual(self.read(b'[module_build]\nchannel = 100%modules\n'),
                         (dict(default, channel='100%modules'), None))
        for bad in (b'channel = module\n', b'[module_build]\nchanel = module\n',
                    b'[module_build]\nchannel = \xff\n'):
            with self.subTest(bad=bad):
                self.assertIsNotNone(self.read(bad)[1])


class LoadingTest(unittest.TestCase):
    """An exception while it is loaded takes a whole hub offline."""

    MARK = ('def export(f):\n    f.exported = True\n    return f\n'
            'def export_in(m):\n    return export\ndef callback(*a):\n    return export\n')

    SUMMARY = ('print(m["UNUSABLE"]); print(sorted(k for k, v in m.items() if callable(v) '
               'and (getattr(v, "exported", 0) or getattr(v, "callbacks", 0))))')

    def run_with(self, files, code=SUMMARY):
        """The lines that code prints about m, the names of the plugin loaded with files for Koji."""
        with tempfile.TemporaryDirectory() as path:
            for name, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
                with open(os.path.join(path, name), 'w') as f:
                    f.write(text)
            code = 'import logging, runpy; logging.disable(50); m = runpy.run_path(%r)\n' % PLUGIN + code
            done = subprocess.run([sys.executable, '-B', '-c', code], text=True, capture_output=True,
                                  env={'PYTHONPATH': path}, check=True)
            return done.stdout.splitlines()

    def test_without_koji(self):
        reason, exports = self.run_with({})
        self.assertIn('No module named', reason)
        self.assertEqual(exports, '[]')

    def test_broken_koji(self):
        self.assertEqual(self.run_with({'koji/__init__.py': '1 / 0'}),
                         ['Koji cannot be imported: division by zero', '[]'])

    def test_other_koji(self):
        """A hub without the functions that are needed: one call that says so, nothing else."""
        reason, exports = self.run_with({
            'koji/__init__.py': '', 'koji/plugin.py': self.MARK,
            'koji/policy.py': 'class BaseSimpleTest: pass',
            'koji/context.py': 'context = None', 'kojihub/__init__.py': '', 'kojihub/db.py': '',
            'kojihub/kojihub.py': 'class Host: pass'})
        self.assertIn('this Koji has no CG_Importer, HostExports', reason)
        self.assertEqual(exports, "['moduleBuild', 'moduleStatus']")

    def test_halves_of_koji(self):
        empty = dict.fromkeys(('koji/__init__.py', 'koji/plugin.py', 'koji/policy.py', 'kojihub/__init__.py',
                               'kojihub/db.py', 'kojihub/kojihub.py'), '')
        empty['koji/context.py'] = 'context = None'
        anything = 'def __getattr__(name):\n    return object\n'
        for broken in ({}, {'kojihub/kojihub.py': anything}, {'koji/policy.py': 'class BaseSimpleTest: pass'},
                       {'kojihub/db.py': 'import sys\nsys.nothing', 'kojihub/kojihub.py': anything}):
            with self.subTest(broken=broken):
                self.assertEqual(self.run_with(dict(empty, **broken))[-1], '[]')

    def test_whole_koji(self):
        reason, exports = self.run_with({
            'koji/__init__.py': '', 'koji/plugin.py': self.MARK,
            'koji/policy.py': 'class BaseSimpleTest: pass',
            'koji/context.py': 'context = None', 'kojihub/__init__.py': '', 'kojihub/db.py': '',
            'kojihub/kojihub.py': 'def __getattr__(name):\n    return len\n'})
        self.assertEqual((reason, exports), ('None', str(sorted([
            'moduleBuild', 'moduleReserve', 'moduleTags', 'moduleTagBuild', 'moduleRepo', 'moduleFinish',
            'moduleStatus', 'modulePrune', 'guard_cancel', 'guard_content', 'guard_repo', 'guard_repo_done',
            'end_reservation']))))

    def test_guards(self):
        """They refuse with Koji's faults; what they cannot make sense of they let pass, and log."""
        files = {
            'koji/__init__.py': 'class GenericError(Exception): pass\n'
                                'class ActionNotAllowed(GenericError): pass\n',
            'koji/plugin.py': self.MARK, 'koji/policy.py': 'class BaseSimpleTest: pass',
            'koji/context.py': 'class context: pass', 'kojihub/__init__.py': '', 'kojihub/db.py': '',
            'kojihub/kojihub.py': 'def __getattr__(name):\n    return len\n'
                                  'def get_user_perms(user_id): return ["tag"] if user_id == 1 else []\n'
                                  'marks = {8: {"module.task": 7, "module.identity": {}}, 9: {}}\n'
                                  'def get_tag(tag): return {"name": "m", "extra": marks[tag]}\n'}
        code = """
def refuses(guard, **kws):
    try:
        m[guard]('cb', **kws)
    except m['koji'].ActionNotAllowed:
        return True
tag, other = {'id': 8, 'name': 'm'}, {'id': 9, 'name': 'o'}
print(all([
    refuses('guard_content', tag=tag, user={'id': 2}, build={}, force=False),
    refuses('guard_content', tag=tag),
    refuses('guard_repo', tag=tag),
    refuses('guard_repo_done', repo={'dist': False, 'tag_id': 8}, data={})]))
print(any([
    refuses('guard_content', tag=tag, user={'id': 1}),
    refuses('guard_content', tag=other),
    refuses('guard_repo', tag=other, event=None),
    refuses('guard_repo_done', repo={'dist': False, 'tag_id': 9}),
    refuses('guard_repo_done', repo={'dist': True, 'tag_id': 8})]))
print(any([
    refuses('guard_content', tag=None), refuses('guard_content'),
    refuses('guard_repo', tag=7), refuses('guard_repo'),
    refuses('guard_repo_done', repo={}), refuses('end_reservation', info=None)]))
"""
        self.assertEqual(self.run_with(files, code), ['True', 'False', 'False'])


if __name__ == '__main__':
    unittest.main()
