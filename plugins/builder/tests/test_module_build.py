"""Tests of the builder plugin, with small engines that speak the protocol. Those of the task handler
need Koji's own modules: KOJI_SRC names a checkout for scripts/test-plugins."""

import importlib.util
import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import types
import unittest

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'module_build.py')
ENGINE = '''#!%s
import json, os, signal, sys, threading, time
document = json.loads(sys.stdin.readline())
def answer(code, **more):
    print(json.dumps(dict(more, callnum=document['session']['callnum'] + 7)), flush=True)
    os._exit(code)
def say(text):
    with open('said', 'a') as said:
        said.write(text + chr(10))
%s
'''


def load():
    spec = importlib.util.spec_from_file_location('module_build_builder', PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plugin = load()


def alive(pid):
    try:
        with open('/proc/%d/stat' % pid) as info:
            return info.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def until(condition, what):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError('waited in vain for ' + what)


class EngineTest(unittest.TestCase):
    """run_engine, read_answer and write_log against engines of a few lines."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.dir = place.name
        self.said = os.path.join(self.dir, 'said')

    def engine(self, body):
        path = os.path.join(self.dir, 'engine')
        with open(path, 'w') as script:
            script.write(ENGINE % (sys.executable, textwrap.dedent(body)))
        os.chmod(path, stat.S_IRWXU)
        return [path, 'task']

    def run_engine(self, body, **more):
        document = dict(more, session={'id': 5, 'key': '12-secret', 'callnum': 12})
        return plugin.run_engine(self.engine(body), json.dumps(document).encode() + b'\n', self.dir)

    def heard(self):
        if not os.path.exists(self.said):
            return []
        with open(self.said) as said:
            return said.read().split()

    def test_result(self):
        self.assertEqual(self.run_engine('answer(0, result={"nvr": "a-1-2"})'), 0)
        self.assertEqual(plugin.read_answer(self.dir, '12-secret'),
                         {'callnum': 19, 'result': {'nvr': 'a-1-2'}})

    def test_document_larger_than_a_pipe(self):
        self.assertEqual(self.run_engine('answer(0, result=len(document["much"]))', much='x' * 300000), 0)
        self.assertEqual(plugin.read_answer(self.dir, '')['result'], 300000)

    def test_engine_that_does_not_read(self):
        with open(os.path.join(self.dir, 'engine'), 'w') as script:
            script.write('#!/bin/sh\nexit 3\n')
        os.chmod(script.name, stat.S_IRWXU)
        self.assertEqual(plugin.run_engine([script.name], b'x' * 300000, self.dir), 3)
        self.assertIsNone(plugin.read_answer(self.dir, ''))

    def test_standard_input_stays_open(self):
        self.assertEqual(self.run_engine('''
            import select
            answer(0, result=bool(select.select([sys.stdin], [], [], 0.5)[0]))'''), 0)
        self.assertIs(plugin.read_answer(self.dir, '')['result'], False)

    def test_key_is_in_no_argument_and_no_environment(self):
        self.assertEqual(self.run_engine('''
            seen = open('/proc/self/cmdline').read() + open('/proc/self/environ').read()
            answer(0, result=document['session']['key'] in seen)'''), 0)
        self.assertIs(plugin.read_answer(self.dir, '')['result'], False)

    def test_key_never_leaves(self):
        self.assertEqual(self.run_engine('''
            print('panic:', document['session']['key'], file=sys.stderr, flush=True)
            answer(1, fault={'code': 1000, 'message': 'bad key ' + document['session']['key']})'''), 1)
        answer = plugin.read_answer(self.dir, '12-secret')
        self.assertEqual(answer['fault'], {'code': 1000, 'message': 'bad key (session key)'})
        with open(plugin.write_log(self.dir, '12-secret')) as log:
            self.assertEqual(log.read(), 'panic: (session key)\n')

    def test_log_is_bounded(self):
        self.addCleanup(setattr, plugin, 'MAX_LOG', plugin.MAX_LOG)
        plugin.MAX_LOG = 10
        self.run_engine('sys.stderr.write("x" * 100 + "the end"); answer(0)')
        with open(plugin.write_log(self.dir, '')) as log:
            self.assertEqual(log.read(), 'xxxthe end')

    def test_exit_codes(self):
        self.assertEqual(self.run_engine('os._exit(75)'), 75)
        self.assertEqual(self.run_engine('os.kill(os.getpid(), signal.SIGKILL)'), -9)
        self.assertEqual(plugin.describe_status(-9), 'was ended by signal 9')
        self.assertEqual(plugin.describe_status(2), 'ended with exit code 2')

    def test_no_engine(self):
        with self.assertRaises(OSError):
            plugin.run_engine([os.path.join(self.dir, 'none'), 'task'], b'{}\n', self.dir)

    def test_finished_child_is_passed_on(self):
        before = signal.getsignal(signal.SIGUSR2)
        status = self.run_engine('''
            def woken(*args):
                say('woken'); answer(0, result=1)
            signal.signal(signal.SIGUSR2, woken)
            os.kill(os.getppid(), signal.SIGUSR2)
            while True: time.sleep(0.05)''')
        self.assertEqual((status, self.heard()), (0, ['woken']))
        self.assertEqual(signal.getsignal(signal.SIGUSR2), before)

    def test_finished_child_before_the_engine_listens(self):
        self.assertEqual(self.run_engine('os.kill(os.getpid(), signal.SIGUSR2); answer(0, result=1)'), 0)

    def test_interrupted(self):
        """Whatever ends the handler ends the engine first, which gets the time to go in good order."""
        class Shutdown(Exception):
            pass

        def shutdown(*args):
            raise Shutdown
        self.addCleanup(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, shutdown))
        with self.assertRaises(Shutdown):
            self.run_engine('''
                def told(*args):
                    say('told')
                    os.kill(os.getppid(), signal.SIGTERM)  # kojid repeats itself
                    time.sleep(0.2)
                    say('done'); os._exit(1)
                signal.signal(signal.SIGTERM, told)
                say(str(os.getpid()))
                os.kill(os.getppid(), signal.SIGTERM)
                while True: time.sleep(0.05)''')
        pid, *rest = self.heard()
        self.assertEqual(rest, ['told', 'done'])
        self.assertFalse(os.path.exists('/proc/%s' % pid), 'the engine was not reaped')
        self.assertEqual(signal.getsignal(signal.SIGTERM), shutdown)

    def test_engine_that_does_not_end(self):
        self.addCleanup(setattr, plugin, 'GRACE', plugin.GRACE)
        plugin.GRACE = 0.2

        def interrupt(*args):
            raise KeyboardInterrupt
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, interrupt))
        with self.assertRaises(KeyboardInterrupt):
            self.run_engine('''
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                say(str(os.getpid()))
                os.kill(os.getppid(), signal.SIGINT)
                while True: time.sleep(0.05)''')
        self.assertFalse(os.path.exists('/proc/' + self.heard()[0]))

    @unittest.skipUnless(plugin.PRCTL, 'no prctl on this system')
    def test_killed_handler_takes_the_engine_along(self):
        command = self.engine('''
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            say(str(os.getpid()))
            while True: time.sleep(0.05)''')
        handler = subprocess.Popen([sys.executable, '-B', '-c', textwrap.dedent('''
            import sys
            sys.path.insert(0, sys.argv[1])
            import module_build
            module_build.run_engine(sys.argv[2:], b'{"session": {"callnum": 1}}\\n', '.')'''),
            os.path.dirname(PLUGIN)] + command, cwd=self.dir)
        until(lambda: self.heard() or handler.poll() is not None, 'the engine')
        self.assertIsNone(handler.poll())
        pid = int(self.heard()[0])
        self.assertTrue(alive(pid))
        handler.kill()
        handler.wait()
        until(lambda: not alive(pid), 'the end of the engine')

    def test_no_answers(self):
        for name, output in {
                'nothing': b'', 'no JSON': b'panic: x\n', 'no struct': b'[1]\n', 'not UTF-8': b'\xff\xfe\n',
                'fault without code': b'{"callnum": 1, "fault": {"message": "x"}}\n',
                'fault of text': b'{"callnum": 1, "fault": "x"}\n',
                'deep': b'[' * 100000, 'too long': b'{"result": "%s"}\n' % (b'x' * plugin.MAX_ANSWER),
                'words behind': b'{"result": 1}\nand more\n'}.items():
            with self.subTest(name):
                with open(os.path.join(self.dir, 'engine.out'), 'wb') as out:
                    out.write(output)
                self.assertIsNone(plugin.read_answer(self.dir, 'key'))

    def test_answer_is_the_last_line(self):
        with open(os.path.join(self.dir, 'engine.out'), 'wb') as out:
            out.write(b'by the way\n{"callnum": 3, "result": null}\n\n')
        self.assertEqual(plugin.read_answer(self.dir, ''), {'callnum': 3, 'result': None})


class Hub:
    """A session whose hub answers with what a test puts into it."""

    baseurl = 'https://hub.example/kojihub'
    opts = {'serverca': '/etc/ca.crt', 'no_ssl_verify': False}

    def __init__(self, task):
        self.task, self.calls, self.others, self.reserved, self.children = task, [], [], None, []
        self.callnum, self.sinfo = 40, {'session-id': 5, 'session-key': '12-secret'}
        self.host = types.SimpleNamespace(moduleReserve=lambda task_id: self.reserved)
        self.renewals, self.uploaded = 0, {}

    def getTaskInfo(self, task_id, strict=False, request=False):
        self.calls.append(('getTaskInfo', self.callnum))
        if self.renewals:  # as Koji's client on a hub that goes on counting
            self.renewals, self.callnum = self.renewals - 1, 1
            raise plugin.koji.SequenceError('1000040 > 0 (session 5)')
        self.callnum += 1
        return dict(self.task)

    def listTasks(self, opts):
        return self.others + [self.task]

    def getTaskChildren(self, task_id, request=False):
        return [child for child in self.children if child['parent'] == task_id]

    def getBuildTarget(self, name, strict=False):
        return {'name': name, 'build_tag': 3, 'dest_tag': 4}

    def getTag(self, tag, strict=False):
        return {'id': tag, 'name': 'f40-build'}

    def getChannel(self, channel, strict=False):
        return {'name': 'default'}

    def uploadWrapper(self, path, directory, name=None, volume=None):
        with open(path) as file:
            self.uploaded[os.path.basename(path)] = file.read()


class Scm:
    """In place of Koji's SCM class: a checkout of two files."""

    def __init__(self, url, allow_password=False):
        self.url, self.module, self.revision = url, url.partition('?')[2].partition('#')[0], url[-6:]
        self.scmtype, self.allowed, self.use_common = 'GIT', None, True

    def assert_allowed(self, **kwargs):
        self.allowed = kwargs
        Scm.last = self

    def get_info(self):
        return {'url': self.url}

    def checkout(self, directory, session, uploads, log):
        top = os.path.join(directory, 'mod')
        os.mkdir(top)
        os.mkdir(os.path.join(top, 'sub'))
        os.symlink('/etc', os.path.join(top, 'link'))
        return os.path.join(top, self.module)

    def get_source(self):
        return {'source': 'git+https://src.example/mod#' + 'c0ffee12' * 5}


@unittest.skipUnless(plugin.koji, 'needs Koji: set KOJI_SRC to a checkout')
class TaskTest(unittest.TestCase):

    engine = EngineTest.engine
    heard = EngineTest.heard

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.dir = os.path.join(place.name, 'task')
        os.mkdir(self.dir)
        self.said = os.path.join(self.dir, 'said')
        for name, value in (('CONFIG_FILE', os.path.join(place.name, 'conf')), ('TOLD_SECONDS', 0),
                            ('SCM', Scm), ('die_with_parent', lambda sig: None)):
            self.addCleanup(setattr, plugin, name, getattr(plugin, name))
            setattr(plugin, name, value)

    def task(self, body, method='moduleBuild', **params):
        params = dict({'__method__': method, 'source': 'cli-build/1.2.ab/mod.yaml', 'target': 'f40',
                       'opts': {}}, **params)
        with open(plugin.CONFIG_FILE, 'w') as conf:
            conf.write('[module_build]\nengine = %s\n' % self.engine(body)[0])
        options = types.SimpleNamespace(
            topdir='/nonexistent', topurl='', maxjobs=10, workdir=self.dir, allow_password_in_scm_url=False,
            allowed_scms='src.example:*', allowed_scms_use_config=True, allowed_scms_use_policy=False)
        info = {'id': 17, 'state': 1, 'host_id': 3, 'owner': 8, 'channel_id': 1, 'start_ts': 5.0,
                'parent': 16, 'request': [params]}
        return plugin.ModuleBuildTask(17, method, [params], Hub(info), options, workdir=self.dir)

    def run_task(self, task):
        return plugin.koji.util.call_with_argcheck(task.handler, task.params, task.opts)

    def test_result_and_document(self):
        task = self.task('answer(0, result=document)', opts={'scratch': True})
        self.assertEqual(self.run_task(task), {
            'protocol': 1, 'task_id': 17, 'method': 'moduleBuild',
            'parameters': {'source': 'cli-build/1.2.ab/mod.yaml', 'target': 'f40', 'opts': {'scratch': True}},
            'hub': 'https://hub.example/kojihub', 'ca': '/etc/ca.crt', 'no_ssl_verify': False,
            'session': {'id': 5, 'key': '(session key)', 'callnum': 41}, 'topdir': '', 'topurl': '',
            'workdir': self.dir, 'maxjobs': 10,
            'source': {'path': '/nonexistent/work/cli-build/1.2.ab/mod.yaml',
                       'pinned': 'cli-build/1.2.ab/mod.yaml'}})
        self.assertGreaterEqual(task.session.callnum, 41 + plugin.CALLS)

    def test_work_directory_of_a_handler_that_was_killed(self):
        # somebody writes there for a moment longer
        task, failures = self.task(''), ['busy', 'busy']

        def remove(handler):
            if failures:
                raise plugin.koji.GenericError('Failed to remove directory: ' + failures.pop())

        base = plugin.ModuleBuildTask.__mro__[1]
        for target, name, value in ((base, 'removeWorkdir', remove),
                                    (plugin.time, 'sleep', lambda seconds: None)):
            self.addCleanup(setattr, target, name, getattr(target, name))
            setattr(target, name, value)
        task.removeWorkdir()
        self.assertEqual(failures, [])
        failures.extend(['busy'] * (plugin.REMOVE_SECONDS + 1))
        self.assertRaises(plugin.koji.GenericError, task.removeWorkdir)
        self.assertEqual(failures, [])

    def test_faults(self):
        for code, error in ((1005, plugin.koji.BuildError), (1004, plugin.koji.ActionNotAllowed),
                            (1000, plugin.koji.GenericError), (1, plugin.koji.Fault)):
            with self.subTest(code):
                task = self.task('answer(1, fault={"code": %d, "message": "greeter: no"})' % code)
                with self.assertRaisesRegex(error, 'greeter: no') as caught:
                    self.run_task(task)
                self.assertIs(type(caught.exception), error)

    def test_crash(self):
        task = self.task('sys.stderr.write("panic: " + document["session"]["key"]); os._exit(2)')
        with self.assertRaisesRegex(plugin.koji.GenericError,
                                    r'exit code 2, see engine.log, which ends:\npanic: \(session key\)'):
            self.run_task(task)
        self.assertEqual(task.session.uploaded, {'engine.log': 'panic: (session key)'})
        self.assertGreaterEqual(task.session.callnum, 41 + plugin.CALLS)

    def test_starts_again(self):
        """After the session's end, after a kill, and where kojid's signal was none of its own."""
        for name, ending in {
                'expired': 'os._exit(75)', 'killed': 'os.kill(os.getpid(), signal.SIGKILL)',
                'told': 'os._exit(130)', 'ended': 'os.kill(os.getpid(), signal.SIGTERM)'}.items():
            with self.subTest(name):
                if os.path.exists(self.said):
                    os.remove(self.said)
                task = self.task("""
                    first = not os.path.exists('said')
                    say(str(document['session']['callnum']))
                    if first:
                        %s
                    answer(0, result='again')""" % ending)
                self.assertEqual(self.run_task(task), 'again')
                first, second = [int(number) for number in self.heard()]
                self.assertGreaterEqual(second, first + plugin.CALLS)

    def test_renewed_session_counts_on(self):
        task = self.task("""
            first = not os.path.exists('said')
            say(str(document['session']['callnum']))
            if first: os._exit(75)
            answer(0, result=1)""")
        task.taskinfo  # the call before
        task.session.renewals = 1
        self.run_task(task)
        self.assertGreater(int(self.heard()[1]), 41 + plugin.CALLS)

    def test_gives_up(self):
        task = self.task('say("run"); os._exit(75)')
        with self.assertRaisesRegex(plugin.koji.GenericError, 'exit code 75 and said nothing'):
            self.run_task(task)
        self.assertEqual(len(self.heard()), plugin.IDLE_RUNS)

    def test_task_of_another(self):
        for change in ({'state': 3}, {'host_id': 4}):
            with self.subTest(change):
                task = self.task('say("run"); os._exit(75)')
                task.taskinfo
                task.session.task.update(change)
                with self.assertRaisesRegex(plugin.koji.GenericError, 'no longer with this builder'):
                    task._run(plugin.read_config(plugin.CONFIG_FILE)['engine'], {}, {})
        self.assertEqual(len(self.heard()), 2)

    def test_interrupted_handler_counts_on(self):
        def shutdown(*args):
            raise SystemExit
        self.addCleanup(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, shutdown))
        task = self.task('os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)')
        with self.assertRaises(SystemExit):
            self.run_task(task)
        self.assertEqual(task.session.callnum, 41 + plugin.CALLS)

    def test_refused(self):
        task = self.task('say("run")')
        task.session.others = [{'id': 1, 'start_ts': 1.0}, {'id': 2, 'start_ts': 2.0}]
        with self.assertRaisesRegex(plugin.koji.tasks.RefuseTask, '2 moduleBuild tasks already'):
            self.run_task(task)
        self.assertEqual(self.heard(), [])

    def test_no_engine(self):
        task = self.task('')
        self.assertTrue(task.checkHost({}))
        with open(plugin.CONFIG_FILE, 'w') as conf:
            conf.write('[module_build]\nengine = /nonexistent/engine\n')
        self.assertFalse(task.checkHost({}))
        with self.assertRaisesRegex(plugin.koji.GenericError, 'cannot run /nonexistent/engine, see '):
            self.run_task(task)
        self.assertEqual(task.session.callnum, 41 + plugin.CALLS)

    def test_source(self):
        child = {'parent': 17, 'method': 'moduleContext', 'request': [{'pin': {'source': 'of/child'}}]}
        build = {'parent': 17, 'method': 'build', 'request': ['x', None, {}]}
        cases = {
            'as asked': (None, [], {}, 'asked/for'),
            'reserved': ({'pin': {'source': 'of/reservation'}}, [child], {}, 'of/reservation'),
            'reserved without': ({'pin': {}}, [], {}, 'asked/for'),
            'child': (None, [build, child], {}, 'of/child'),
            'child of the task resumed': (None, [dict(child, parent=9)], {'resume': 9}, 'of/child'),
            'child of another': (None, [dict(child, parent=9)], {}, 'asked/for')}
        for name, (reserved, children, opts, want) in cases.items():
            with self.subTest(name):
                task = self.task('', source='asked/for', opts=opts)
                task.session.reserved, task.session.children = reserved, children
                self.assertEqual(task._source(task.params[0]), want)
        task = self.task('', method='moduleContext', pin={'source': 'of/pin'})
        self.assertEqual(task._source(task.params[0]), 'of/pin')
        with self.assertRaises(plugin.koji.ParameterError):
            self.task('', source=7)._source({'source': 7})

    def test_git(self):
        task = self.task('')
        got = task._fetch('git+https://me@src.example/mod?sub#master', {'target': 'f40', 'opts': {}})
        self.assertEqual(got, {'path': os.path.join(self.dir, 'checkout/mod/sub'),
                               'pinned': 'git+https://me@src.example/mod?sub#' + 'c0ffee12' * 5})
        self.assertFalse(Scm.last.use_common)
        self.assertEqual(Scm.last.allowed['policy_data'],
                         {'user_id': 8, 'channel': 'default', 'scratch': False})
        self.assertEqual(Scm.last.allowed['allowed'], 'src.example:*')

    def test_git_of_a_context(self):
        task = self.task('', method='moduleContext', opts={'scratch': True})  # as the task above, too
        task._fetch('git+https://src.example/mod#master', {'pin': {}})
        self.assertTrue(Scm.last.allowed['policy_data']['scratch'])

    def test_bad_sources(self):
        for source, error in {
                '../../etc/passwd': 'not the path of an uploaded file', 'file': 'not the path',
                'git+https://src.example/mod?../..#master': 'no directory',
                'git+https://src.example/mod?link#master': 'no directory',
                'git+https://src.example/mod?none#master': 'no directory',
                'git+https://src.example/mod#--help': 'no commit has such a name'}.items():
            with self.subTest(source):
                task = self.task('')
                with self.assertRaisesRegex(plugin.koji.GenericError, error):
                    task._fetch(source, {'target': 'f40'})
                shutil.rmtree(os.path.join(self.dir, 'checkout'), ignore_errors=True)

    def test_other_repositories(self):
        plugin.SCM = plugin.koji.daemon.SCM
        for source, error in {
                'svn+https://src.example/mod?x#12': 'is a git repository or a file',
                'ext::sh://x#1': 'Invalid scheme',
                'git+https://elsewhere.example/mod#master': 'not in the list of allowed'}.items():
            with self.subTest(source):
                with self.assertRaisesRegex(plugin.koji.GenericError, error):
                    self.task('')._fetch(source, {'target': 'f40'})

    def test_parameters(self):
        for params in ([], ['git+https://x', 'f40'], [{'source': 'x'}], [{'__method__': 'build'}]):
            with self.subTest(params):
                task = self.task('')
                task.params = params
                with self.assertRaises(plugin.koji.ParameterError):
                    self.run_task(task)


class ConfigTest(unittest.TestCase):

    def read(self, text):
        with tempfile.NamedTemporaryFile('wb') as conf:
            conf.write(text)
            conf.flush()
            return plugin.read_config(conf.name)

    def test_config(self):
        default = {'engine': 'module-builder-task'}
        self.assertEqual(plugin.read_config('/nonexistent/module_build.conf'), default)
        self.assertEqual(self.read(b''), default)
        self.assertEqual(self.read(b'[module_build]\nengine =\n'), default)
        self.assertEqual(self.read(b'[module_build]\nengine = /opt/100%/e\n'), {'engine': '/opt/100%/e'})

    def test_bad_config(self):
        for text, error in {b'[module_build]\nengin = /x\n': 'unknown setting engin',
                            b'engine = /x\n': 'cannot read', b'\xff': 'cannot read'}.items():
            with self.subTest(text):
                with self.assertRaisesRegex(ValueError, error):
                    self.read(text)


class SlotTest(unittest.TestCase):

    def test_slots(self):
        self.assertEqual([plugin.slots(n) for n in (0, 1, 4, 5, 9, 10, 20)], [1, 1, 1, 1, 1, 2, 4])

    def test_has_slot(self):
        """Of tasks opened at about the same time each comes to the same view of who stays."""
        tasks = [{'id': 7, 'start_ts': 10.0}, {'id': 3, 'start_ts': 12.0}, {'id': 9, 'start_ts': 11.0}]
        for maxjobs, stay in ((1, [7]), (10, [7, 9]), (15, [3, 7, 9])):
            with self.subTest(maxjobs=maxjobs):
                self.assertEqual([i for i in (3, 7, 9) if plugin.has_slot(tasks, i, maxjobs)], stay)
        self.assertTrue(plugin.has_slot([{'id': 2, 'start_ts': None}, {'id': 1, 'start_ts': 5}], 2, 1))
        self.assertFalse(plugin.has_slot([], 1, 10), 'a task that is no longer open has no slot')


class PatternTest(unittest.TestCase):

    def test_uploads(self):
        for path in ('cli-build/1700000000.1.aBcD/mod.yaml', 'a/b'):
            self.assertTrue(plugin.UPLOAD.fullmatch(path), path)
        for path in ('mod.yaml', '/etc/passwd', 'a/../b', 'a/.b', 'a//b', 'a/b/', '-a/b', 'a/b\n', 'a/b c'):
            self.assertFalse(plugin.UPLOAD.fullmatch(path), path)


if __name__ == '__main__':
    unittest.main()
