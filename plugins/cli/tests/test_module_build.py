"""Tests of koji module-build. Those of the command itself need Koji's own modules: KOJI_SRC names a
checkout for scripts/test-plugins."""

import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import tempfile
import types
import unittest

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'module_build.py')


def load():
    spec = importlib.util.spec_from_file_location('module_build_cli', PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plugin = load()

DOCUMENT = '''
document: modulemd-packager
version: 3
data:
  name: greeter
  components:
    rpms:
      libgreeting:
        rationale: x
        repository: rpms/libgreeting-1.0-1.src.rpm
      greeting-data:
        name: data
        repository: https://src.example/data
      greeter:
'''


def header_of(path):
    """In place of reading a package: NAME-VERSION-RELEASE.src.rpm is what its name says."""
    file = os.path.basename(path)
    return {'name': file.rsplit('-', 2)[0], 'file': file}


class Place(unittest.TestCase):
    """A directory with a document and source packages."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.dir = place.name
        self.document = self.put('greeter.yaml', DOCUMENT)
        self.lib = self.put('rpms/libgreeting-1.0-1.src.rpm')

    def put(self, name, text=''):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def options(self, **given):
        return types.SimpleNamespace(**dict({'srpm': [], 'srpms': None}, **given))


@unittest.skipUnless(plugin.yaml, 'PyYAML is not installed')
class ComponentsTest(Place):

    def test_components(self):
        found = plugin.read_components(self.document)
        self.assertEqual(sorted(found), ['greeter', 'greeting-data', 'libgreeting'])
        self.assertEqual(found['greeter'], {})
        self.assertEqual(found['greeting-data']['name'], 'data')

    def test_odd_documents(self):
        for name, text in {'empty': '', 'list': '[1]', 'no components': 'data: {name: x}',
                           'text for components': 'data: {components: x}',
                           'list of components': 'data: {components: {rpms: [a]}}'}.items():
            with self.subTest(name):
                self.assertEqual(plugin.read_components(self.put('odd.yaml', text)), {})

    def test_refused_documents(self):
        for name, text in {'no YAML': '{', 'object': '!!python/object:os.system {}',
                           'deep': '[' * 100000, 'large': ' ' * (plugin.MAX_DOCUMENT + 1)}.items():
            with self.subTest(name):
                with self.assertRaises(plugin.Problem):
                    plugin.read_components(self.put('odd.yaml', text))

    def test_local_packages(self):
        components = plugin.read_components(self.document)
        self.assertEqual(plugin.local_srpms(self.document, components), {'libgreeting': self.lib})
        os.remove(self.lib)
        with self.assertRaisesRegex(plugin.Problem, 'libgreeting: there is no file .*/rpms/libgreeting-1.0'):
            plugin.local_srpms(self.document, components)

    def test_directory(self):
        data = self.put('more/data-2-1.src.rpm')
        self.put('more/data-2-1.noarch.rpm')
        self.put('more/stranger-1-1.src.rpm')
        opts = self.options(srpms=os.path.join(self.dir, 'more'))
        self.assertEqual(plugin.collect_srpms(opts, self.document, header_of),
                         {'libgreeting': self.lib, 'greeting-data': data})

    def test_which_comes_first(self):
        self.put('more/libgreeting-2-1.src.rpm')
        opts = self.options(srpms=os.path.join(self.dir, 'more'))
        self.assertEqual(plugin.collect_srpms(opts, self.document, header_of), {'libgreeting': self.lib})
        opts.srpm = ['libgreeting=/x/libgreeting-3-1.src.rpm']
        self.assertEqual(plugin.collect_srpms(opts, self.document, header_of),
                         {'libgreeting': '/x/libgreeting-3-1.src.rpm'})

    def test_unknown_component(self):
        with self.assertRaisesRegex(plugin.Problem, 'has no component greet$'):
            plugin.collect_srpms(self.options(srpm=['greet=/x']), self.document, header_of)


class PackagesTest(Place):

    def test_named(self):
        self.assertEqual(plugin.named_srpms(['a=/x', 'b=y=z']), {'a': '/x', 'b': 'y=z'})
        for words in (['a'], ['=x'], ['a='], ['a=1', 'a=2']):
            with self.subTest(words):
                with self.assertRaises(plugin.Problem):
                    plugin.named_srpms(words)

    def test_directory_without_document(self):
        """Of a source that is fetched by the builder the components are not known: all are taken."""
        rpms = os.path.join(self.dir, 'rpms')
        self.assertEqual(plugin.collect_srpms(self.options(srpms=rpms), None, header_of),
                         {'libgreeting': self.lib})
        self.put('rpms/libgreeting-1.0-2.src.rpm')
        with self.assertRaisesRegex(plugin.Problem, 'libgreeting: which of .* Say --srpm libgreeting=FILE'):
            plugin.collect_srpms(self.options(srpms=rpms), None, header_of)
        for directory in (self.dir, os.path.join(self.dir, 'none')):
            with self.assertRaises(plugin.Problem):
                plugin.collect_srpms(self.options(srpms=directory), None, header_of)

    def test_without_yaml(self):
        self.addCleanup(setattr, plugin, 'yaml', plugin.yaml)
        self.addCleanup(setattr, plugin, 'warn', getattr(plugin, 'warn', None))
        warnings, plugin.yaml = [], None
        plugin.warn = warnings.append
        self.assertEqual(plugin.collect_srpms(self.options(), self.document, header_of), {})
        self.assertIn('PyYAML', warnings[0])
        self.assertEqual(plugin.collect_srpms(self.options(srpm=['a=/x']), self.document, header_of),
                         {'a': '/x'})
        self.assertEqual(len(warnings), 1)

    def test_uploads(self):
        package = '/x/b-1-1.src.rpm'
        uploads, names = plugin.plan_uploads('/x/my module.yaml', {'b': package, 'c': package}, header_of)
        self.assertEqual(uploads, {'my_module.yaml': '/x/my module.yaml', 'b-1-1.src.rpm': package})
        self.assertEqual(names, {'b': 'b-1-1.src.rpm', 'c': 'b-1-1.src.rpm'})
        self.assertEqual(plugin.plan_uploads('/x/.-.', {}, header_of)[0], {'module.yaml': '/x/.-.'})

    def test_two_of_one_name(self):
        other = self.put('more/libgreeting-1.0-1.src.rpm')
        with self.assertRaisesRegex(plugin.Problem, 'are both libgreeting-1.0-1.src.rpm'):
            plugin.plan_uploads(None, {'a': self.lib, 'b': other}, header_of)


class TextTest(unittest.TestCase):

    def test_labels(self):
        build = {'method': 'moduleBuild', 'request': [
            {'source': '', 'target': 'f40', '__method__': 'moduleBuild'}]}
        for source, want in {'git+https://src.example/modules/greeter.git?#stream-1': 'f40, greeter:stream-1',
                             'git://h/greeter/?sub#1': 'f40, greeter:1',
                             'cli-build/1.2.ab/greeter.yaml': 'f40, greeter.yaml',
                             'git://h/x#\x1b[2J': 'f40, x:?[2J'}.items():
            build['request'][0]['source'] = source
            self.assertEqual(plugin.module_label(build), 'moduleBuild (%s)' % want)
        self.assertEqual(plugin.module_label({'method': 'moduleContext', 'request': [
            {'name': 'greeter', 'stream': '1', 'version': '20', 'context': 'c0ffee00'}]}),
            'moduleContext (greeter:1:20:c0ffee00)')

    def test_labels_of_other_tasks(self):
        label = plugin.with_labels(lambda info: 'as ever')
        for info in ({'method': 'build', 'request': ['x']}, {'method': 'moduleBuild', 'request': None},
                     {'method': 'moduleBuild', 'request': [{'source': 7}]}, {'method': 'moduleContext',
                                                                             'request': []}, {}):
            with self.subTest(info):
                self.assertEqual(label(info), 'as ever')

    def test_result(self):
        one = {'build_id': 5, 'module': 'greeter:1:20:c0ffee00', 'nvr': 'greeter-1-20.c0ffee00',
               'tag': 'module-greeter',
               'repo_url': 'https://k.example/repos/x/7', 'install': ['dnf module install greeter:1'],
               'warnings': ['old \x07spec'], 'components': 2}
        self.assertEqual(plugin.result_lines(one), [
            '', 'Module: greeter:1:20:c0ffee00', 'Build: greeter-1-20.c0ffee00', 'Tag: module-greeter',
            'Repository: https://k.example/repos/x/7', 'Warning: old ?spec', 'To install it:',
            '  dnf module install greeter:1'])
        scratch = {'nvr': 'b', 'tag': 'c', 'module': 'd', 'repo_url': 'e'}
        self.assertEqual(plugin.result_lines({'modules': [{'nvr': 'a', 'build_id': 1}, scratch]}),
                         ['', 'Build: a', '', 'Module: d', 'Repository: e'])
        for odd in (None, 'text', [], {'modules': ['x']}):
            self.assertEqual(plugin.result_lines(odd), [])


class Hub:
    """A session that says what it was asked to build."""

    def __init__(self, tasks=()):
        self.tasks, self.uploads, self.built, self.locked = dict(tasks), [], None, False

    def getTaskInfo(self, task_id, request=False):
        return self.tasks.get(task_id)

    def getBuildTarget(self, name):
        return None if name == 'none' else {'dest_tag': 4, 'dest_tag_name': 'dest'}

    def getTag(self, tag):
        return {'name': 'dest', 'locked': self.locked}

    def uploadWrapper(self, path, directory, name=None, callback=None):
        self.uploads.append((path, directory, name))

    def moduleBuild(self, *args):
        self.built = args
        return 17


@unittest.skipUnless(plugin.koji, 'needs Koji: set KOJI_SRC to a checkout')
class CommandTest(Place):

    def setUp(self):
        super().setUp()
        for name, value in {'activate_session': lambda *args: None, 'read_header': header_of,
                            'unique_path': lambda prefix: prefix + '/1.2.ab'}.items():
            self.addCleanup(setattr, plugin, name, getattr(plugin, name))
            setattr(plugin, name, value)
        self.addCleanup(setattr, plugin, 'watch_tasks', plugin.watch_tasks)
        self.hub = Hub()
        self.goptions = types.SimpleNamespace(quiet=False, weburl='https://k.example/koji', topurl='')

    def run_command(self, *args):
        self.said, self.complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(self.said), contextlib.redirect_stderr(self.complained):
            return plugin.handle_module_build(self.goptions, self.hub, ['--nowait'] + list(args))

    def refused(self, error, *args):
        with self.assertRaises(SystemExit) as caught:
            self.run_command(*args)
        self.assertEqual(caught.exception.code, 2)
        self.assertIn(error, self.complained.getvalue())
        self.assertIsNone(self.hub.built)

    def test_url(self):
        self.assertIsNone(self.run_command('--scratch', '--version', '7', 'f40', 'git://h/m#r'))
        self.assertEqual(self.hub.built, ('git://h/m#r', 'f40', {'scratch': True, 'version': '7'}))
        self.assertEqual(self.said.getvalue(), 'Created task: 17\n'
                         'Task info: https://k.example/koji/taskinfo?taskID=17\n')

    @unittest.skipUnless(plugin.yaml, 'PyYAML is not installed')
    def test_file(self):
        self.run_command('--keep-going', '--background', 'f40', self.document)
        self.assertEqual(self.hub.built, ('cli-build/1.2.ab/greeter.yaml', 'f40', {
            'keep_going': True, 'background': True,
            'srpms': {'libgreeting': 'cli-build/1.2.ab/libgreeting-1.0-1.src.rpm'}}))
        self.assertEqual(self.hub.uploads, [
            (self.document, 'cli-build/1.2.ab', 'greeter.yaml'),
            (self.lib, 'cli-build/1.2.ab', 'libgreeting-1.0-1.src.rpm')])

    def test_url_with_packages(self):
        self.run_command('--srpm', 'lib=' + self.lib, 'f40', 'git://h/m#r')
        self.assertEqual(self.hub.built[2], {
            'srpms': {'lib': 'cli-build/1.2.ab/libgreeting-1.0-1.src.rpm'}})

    def test_resume(self):
        self.hub.tasks[9] = {'method': 'moduleBuild', 'request': [{
            '__method__': 'moduleBuild', 'source': 'cli-build/0/m.yaml', 'target': 'f40',
            'opts': {'scratch': True, 'resume': 8, 'srpms': {'a': 'x/y'}, 'background': True}}]}
        self.run_command('--resume', '9', '--keep-going')
        self.assertEqual(self.hub.built, ('cli-build/0/m.yaml', 'f40', {
            'scratch': True, 'srpms': {'a': 'x/y'}, 'resume': 9, 'keep_going': True}))

    def test_resume_of_others(self):
        self.hub.tasks[9] = {'method': 'build', 'request': ['x', 'f40', {}]}
        self.refused('No such task: 8', '--resume', '8')
        self.refused('Task 9 is a build task', '--resume', '9')
        self.refused('takes the files that were uploaded', '--resume', '9', 'f40', self.document)

    def test_refused(self):
        self.refused('Exactly two arguments', 'f40')
        self.refused('Exactly two arguments')
        self.refused('No such file', 'f40', '/nonexistent/greeter.yaml')
        self.refused('must end with #REF', 'f40', 'git://h/m')
        self.refused('No such build target: none', 'none', 'git://h/m#r')
        self.refused('--srpm takes NAME=FILE', '--srpm', 'x', 'f40', 'git://h/m#r')
        self.hub.locked = True
        self.refused('dest is locked', 'f40', 'git://h/m#r')
        self.run_command('--scratch', 'f40', 'git://h/m#r')
        self.assertTrue(self.hub.built)

    def test_hub_without_plugin(self):
        def no_such(*args):
            raise plugin.koji.GenericError('Invalid method: moduleBuild')
        self.hub.moduleBuild = no_such
        with self.assertRaises(SystemExit) as caught:
            self.run_command('f40', 'git://h/m#r')
        self.assertEqual(caught.exception.code, 1)
        self.assertIn('not be installed on the koji hub', self.complained.getvalue())

    def test_waits(self):
        seen = {}

        def watch_tasks(session, tasks, **kwargs):
            seen.update(kwargs, tasks=tasks)
            return self.code
        plugin.watch_tasks = watch_tasks
        self.goptions.poll_interval = 3
        self.hub.logout = lambda: None
        self.hub.getTaskResult = lambda task_id: {'nvr': 'greeter-1-2', 'build_id': 5}
        for self.code, said in ((0, True), (1, False)):
            self.assertEqual(self.run_command('--wait', 'f40', 'git://h/m#r'), self.code)
            self.assertEqual('Build: greeter-1-2' in self.said.getvalue(), said)
        self.assertEqual(seen, {'tasks': [17], 'quiet': False, 'poll_interval': 3, 'topurl': ''})

    def test_labels_are_in_place(self):
        info = {'method': 'moduleBuild', 'arch': 'noarch', 'request': [
            {'__method__': 'moduleBuild', 'source': 'git://h/m#r', 'target': 'f40'}]}
        self.assertEqual(plugin.koji.taskLabel(info), 'moduleBuild (f40, m:r)')
        self.assertEqual(plugin.koji.taskLabel({'method': 'waittest', 'arch': 'noarch', 'request': [1]}),
                         'waittest (noarch)')


@unittest.skipUnless(plugin.koji, 'needs Koji: set KOJI_SRC to a checkout')
class HeaderTest(Place):

    def test_no_package(self):
        for path in (self.lib, os.path.join(self.dir, 'none.src.rpm'), self.dir):
            with self.subTest(path):
                with self.assertRaisesRegex(plugin.Problem, 'cannot be read as a source package'):
                    plugin.read_header(path)

    @unittest.skipUnless(shutil.which('rpmbuild'), 'rpmbuild is not installed')
    def test_packages(self):
        """The name that the builder wants, whatever the file is called."""
        spec = self.put('a.spec', 'Name: a+b\nVersion: 1^2\nRelease: 3~4\nSummary: x\nLicense: MIT-0\n'
                        '%description\nx\n%files\n')
        subprocess.run(['rpmbuild', '--quiet', '-ba', '--define', '_topdir ' + self.dir, '--target', 'noarch',
                        spec], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        source, = os.listdir(os.path.join(self.dir, 'SRPMS'))
        renamed = os.path.join(self.dir, 'some.src.rpm')
        os.rename(os.path.join(self.dir, 'SRPMS', source), renamed)
        self.assertEqual(plugin.read_header(renamed), {'name': 'a+b', 'file': 'a+b-1^2-3~4.src.rpm'})
        binary, = os.listdir(os.path.join(self.dir, 'RPMS/noarch'))
        with self.assertRaisesRegex(plugin.Problem, 'is not a source package'):
            plugin.read_header(os.path.join(self.dir, 'RPMS/noarch', binary))


if __name__ == '__main__':
    unittest.main()
