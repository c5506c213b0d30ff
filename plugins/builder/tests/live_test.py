"""Tests of the builder plugin on a live hub with the hub plugin, which they are a builder of:

    PYTHONPATH=/path/to/koji MODULE_BUILD_TEST_HUB=http://127.0.0.1:18080/kojihub \
    MODULE_BUILD_TEST_ADMIN=kojiadmin:adminpw MODULE_BUILD_TEST_USER=packager:packagerpw \
    MODULE_BUILD_TEST_HOST=builder2:builderpw MODULE_BUILD_TEST_TARGET=f99 python3 live_test.py

HOST is a host that no kojid serves, of capacity 2 at least. The policy "channel" sends moduleBuild to a
channel of HOST alone, the policy module_build lets USER build. Koji's own TaskManager takes the tasks
here, as in kojid; in place of the engine comes a script that says what a test wants it to do.
"""

import contextlib
import importlib.util
import logging
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import time
import types
import unittest

PREFIX = 'MODULE_BUILD_TEST_'
NEEDED = ('HUB', 'ADMIN', 'USER', 'HOST', 'TARGET')
MISSING = [PREFIX + name for name in NEEDED if not os.environ.get(PREFIX + name)]
try:
    import koji
    from koji.daemon import TaskManager
except ImportError:
    MISSING.append('the Python module koji')
PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'module_build.py')

# Each run of the engine does the next word of the file "script"; the last one stays.
ENGINE = '''#!%s
import json, os, signal, sys, threading, time
import koji
document = json.loads(sys.stdin.readline())
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(9)), daemon=True).start()
place, task = os.path.dirname(os.path.abspath(sys.argv[0])), document['task_id']
lent = document['session']
session = koji.ClientSession(document['hub'], sinfo={
    'session-id': lent['id'], 'session-key': lent['key'], 'header-auth': True})
session.callnum = lent['callnum']
runs = os.path.join(place, 'runs.%%d' %% task)
with open(runs, 'a') as said:
    said.write('%%d %%d\\n' %% (os.getpid(), lent['callnum']))
words = open(os.path.join(place, 'script')).read().split()
word = words[min(len(open(runs).readlines()), len(words)) - 1]

def answer(code, **more):
    session.logged_in = False  # it is not this process's to end
    print(json.dumps(dict(more, callnum=session.callnum)), flush=True)
    os._exit(code)

for sig in (signal.SIGINT, signal.SIGTERM):
    signal.signal(sig, lambda *args: os._exit(130))
session.host.setTaskWeight(task, 0.5)  # a call that counts
if word == 'result':
    answer(0, result={'nvr': 'live-1-2'})
if word == 'fault':
    answer(1, fault={'code': 1005, 'message': 'greeter: see build.log'})
if word == 'crash':
    sys.stderr.write('panic: key ' + lent['key'] + chr(10))
    os._exit(2)
if word == 'child':
    woken = []
    signal.signal(signal.SIGUSR2, lambda *args: woken.append(1))
    child = session.host.subtask('shutdown', [], task, label='none', channel='default', arch='nosucharch')
    session.host.taskSetWait(task, [child])
    session.host.taskWait(task)
    with open(os.path.join(place, 'child'), 'w') as said:
        said.write(str(child))
    while not woken:
        time.sleep(0.1)
    answer(0, result={'finished': session.host.taskWait(task)[0]})
while True:
    time.sleep(1)
'''


def env(name):
    return os.environ[PREFIX + name]


def login(name, exclusive=False):
    user, password = env(name).split(':', 1)
    session = koji.ClientSession(env('HUB'), {'user': user, 'password': password})
    session.login()
    if exclusive:
        session.exclusiveSession(force=True)
    return session


def load():
    spec = importlib.util.spec_from_file_location('module_build_builder', PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def alive(pid):
    with contextlib.suppress(OSError, ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        with open('/proc/%d/stat' % pid) as info:
            return info.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


@unittest.skipIf(MISSING, 'not set: ' + ', '.join(MISSING))
class BuilderTest(unittest.TestCase):

    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        engine = os.path.join(self.dir, 'engine')
        with open(engine, 'w') as script:
            script.write(ENGINE % sys.executable)
        os.chmod(engine, stat.S_IRWXU)
        self.plugin = load()
        self.plugin.CONFIG_FILE = os.path.join(self.dir, 'conf')
        with open(self.plugin.CONFIG_FILE, 'w') as conf:
            conf.write('[module_build]\nengine = %s\n' % engine)
        os.environ['PYTHONPATH'] = os.pathsep.join(sys.path)
        self.user, self.admin = login('USER'), login('ADMIN')
        self.start()
        self.tasks = []
        self.addCleanup(self.clean)

    def start(self):
        """A kojid, as far as it matters here; the one before is given up as if it had died."""
        self.host = login('HOST', exclusive=True)
        options = types.SimpleNamespace(
            topdir='/nonexistent', topurl='', maxjobs=10, workdir=os.path.join(self.dir, 'work'),
            mockdir=self.dir, minspace=1, allow_password_in_scm_url=False, allowed_scms='',
            allowed_scms_use_config=True, allowed_scms_use_policy=False)
        self.kojid = TaskManager(options, self.host)
        self.kojid.findHandlers(vars(self.plugin))
        self.kojid.readyForTask = lambda: True  # however busy this machine is
        self.kojid.hostdata = {}

    def clean(self):
        for task_id in self.tasks:
            self.admin.cancelTask(task_id)
        self.kojid.updateTasks()
        self.kojid.shutdown()
        for session in (self.host, self.user, self.admin):
            session.logout()

    def build(self, script):
        with open(os.path.join(self.dir, 'script'), 'w') as words:
            words.write(script)
        source = 'cli-build/live/%d.yaml' % time.time()
        task_id = self.user.moduleBuild(source, env('TARGET'), {'scratch': True})
        self.tasks.append(task_id)
        return task_id

    def until(self, condition, what, seconds=120):
        """Go on as kojid does until something is so."""
        end = time.time() + seconds
        while not condition():
            self.assertLess(time.time(), end, 'waited in vain for ' + what)
            self.kojid.updateTasks()
            if not self.kojid.getNextTask():
                time.sleep(0.3)

    def state(self, task_id):
        return koji.TASK_STATES[self.admin.getTaskInfo(task_id)['state']]

    def ended(self, task_id):
        self.until(lambda: self.state(task_id) in ('CLOSED', 'FAILED', 'CANCELED'), 'the task')
        self.until(lambda: task_id not in self.kojid.pids, 'its process')
        self.assertEqual(self.open_sessions(), 1, 'only kojid\'s own session is open')
        return self.state(task_id)

    def open_sessions(self):
        user = self.admin.getUser(env('HOST').split(':')[0])
        sessions = self.admin.getSessionInfo(details=True, user_id=user['id'])
        return len([each for each in sessions if not each.get('closed')])

    def runs(self, task_id):
        """The engine's runs: process and first number of a call."""
        try:
            with open(os.path.join(self.dir, 'runs.%d' % task_id)) as said:
                return [[int(word) for word in line.split()] for line in said]
        except OSError:
            return []

    def running(self, task_id):
        self.until(lambda: self.runs(task_id), 'the engine')
        return self.runs(task_id)[-1][0]

    def test_result(self):
        task_id = self.build('result')
        self.assertEqual(self.ended(task_id), 'CLOSED')
        self.assertEqual(self.admin.getTaskResult(task_id), {'nvr': 'live-1-2'})

    def test_fault(self):
        task_id = self.build('fault')
        self.assertEqual(self.ended(task_id), 'FAILED')
        with self.assertRaisesRegex(koji.BuildError, '^greeter: see build.log$'):
            self.admin.getTaskResult(task_id)

    def test_crash(self):
        task_id = self.build('crash')
        self.assertEqual(self.ended(task_id), 'FAILED')
        with self.assertRaisesRegex(koji.GenericError, r'(?s)exit code 2, see engine.log.*\(session key\)'):
            self.admin.getTaskResult(task_id)
        log = self.admin.downloadTaskOutput(task_id, 'engine.log')
        self.assertEqual(log, b'panic: key (session key)\n')

    def test_child(self):
        task_id = self.build('child')
        self.until(lambda: os.path.exists(os.path.join(self.dir, 'child')), 'the subtask')
        with open(os.path.join(self.dir, 'child')) as said:
            child = int(said.read())
        self.admin.cancelTask(child, recurse=False)
        self.assertEqual(self.ended(task_id), 'CLOSED')
        self.assertEqual(self.admin.getTaskResult(task_id), {'finished': [child]})

    def test_killed_engine(self):
        task_id = self.build('wait result')
        os.kill(self.running(task_id), signal.SIGKILL)
        self.assertEqual(self.ended(task_id), 'CLOSED')
        first, second = self.runs(task_id)
        self.assertGreaterEqual(second[1], first[1] + self.plugin.CALLS)

    def test_killed_handler(self):
        task_id = self.build('wait result')
        engine = self.running(task_id)
        os.kill(self.kojid.pids[task_id], signal.SIGKILL)
        self.until(lambda: not alive(engine), 'the end of the engine', 5)
        self.assertEqual(self.ended(task_id), 'CLOSED')
        self.assertEqual(len(self.runs(task_id)), 2)

    def test_cancelled(self):
        task_id = self.build('wait')
        engine = self.running(task_id)
        handler = self.kojid.pids[task_id]
        self.user.cancelTask(task_id)
        self.assertEqual(self.ended(task_id), 'CANCELED')
        self.assertFalse(alive(engine) or alive(handler))
        self.assertEqual(len(self.runs(task_id)), 1)

    def test_stopped_kojid(self):
        """What systemctl restart kojid does: the next one takes the task up again."""
        task_id = self.build('wait result')
        engine = self.running(task_id)
        self.kojid.shutdown()
        self.assertFalse(alive(engine))
        self.assertEqual(self.state(task_id), 'FREE')
        self.host.logout()
        self.start()
        self.assertEqual(self.ended(task_id), 'CLOSED')

    def test_refused(self):
        """The third of three tasks goes back, and is free for another builder."""
        tasks = [self.build('wait') for _ in range(3)]
        self.until(lambda: sum(self.state(each) == 'OPEN' for each in tasks) >= 2, 'two tasks')
        self.until(lambda: any(self.refusals(each) for each in tasks), 'a refusal')
        self.assertEqual(sorted(self.state(each) for each in tasks), ['FREE', 'OPEN', 'OPEN'])
        refused = [each for each in tasks if self.state(each) == 'FREE'][0]
        refusal, = self.refusals(refused)
        self.assertTrue(refusal['soft'])
        self.assertEqual(self.runs(refused), [])

    def refusals(self, task_id):
        return self.admin.scheduler.getTaskRefusals([['task_id', '=', task_id]])

    def test_key_is_secret(self):
        """No key of this host's is on the command line or in the environment."""
        task_id = self.build('wait')
        engine = self.running(task_id)
        key = re.sub('[A-Za-z0-9]{19}$', '[A-Za-z0-9]{19}', self.host.sinfo['session-key'])
        self.assertRegex(self.host.sinfo['session-key'], '^%s$' % key)
        for name in ('cmdline', 'environ'):
            with open('/proc/%d/%s' % (engine, name)) as text:
                self.assertNotRegex(text.read(), key)


if __name__ == '__main__':
    # Koji leaves connections to the garbage collector
    unittest.main(warnings='ignore')
