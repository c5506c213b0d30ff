"""Tests of the builder plugin's parts that need no Koji, with a small engine that speaks the protocol."""

import importlib.util
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
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
