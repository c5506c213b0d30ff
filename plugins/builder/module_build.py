"""Builder plugin: runs module builds as tasks of Koji (1.35 and later).

The work is done by the engine, module-builder-task. For moduleBuild and moduleContext this plugin
fetches the module's source with Koji's own means, so that allowed_scms and the policy build_from_scm
hold, and starts the engine as its child with one line of JSON on standard input: the task, where hub
and files are, and the session. The session is lent: while the engine runs, nothing here calls the hub.

/etc/kojid/plugins/module_build.conf, all of it optional:

    [module_build]
    # the engine; without a slash it is looked for in kojid's PATH
    engine = module-builder-task

Module tasks mostly wait, but count toward the builder's maxjobs while they do. So at most a fifth of
maxjobs (but one) is given to moduleBuild and as much to moduleContext tasks; the rest are refused for
the time that the hub's SoftRefusalTimeout says, and go to another builder or come back.
"""

import configparser
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import time

try:
    import koji
    import koji.tasks
    from koji.daemon import SCM
    BaseTaskHandler = koji.tasks.BaseTaskHandler
except ImportError:  # the tests of what needs no Koji
    koji, BaseTaskHandler = None, object

CONFIG_FILE = '/etc/kojid/plugins/module_build.conf'
# what the engine says with its exit code
RESULT, FAULT, EXPIRED = 0, 1, 75
# how it ends when told to, as a shell has it too
TOLD = (130, 143, -signal.SIGINT, -signal.SIGTERM)
# how far the session's counter moves on with each run: no engine makes that many calls
CALLS = 1000000
# runs that end before so many seconds count as without progress, and so many in a row are enough
PROGRESS_SECONDS, IDLE_RUNS = 15, 10
# how often an engine may be killed by others, however long it ran: it may be what uses up the memory
KILLS = 30
# for how long a work directory that is written to is tried to be removed
REMOVE_SECONDS = 60
# how many module builds may resume one another
CHAIN = 100
# seconds that an engine has to end in when told to
GRACE = 6
# kojid, on its way out, tells the engine some seconds before it tells its handler
TOLD_SECONDS = 10
MAX_ANSWER = 4 << 20  # as the hub's MaxRequestLength, through which a result must go
MAX_LOG = 4 << 20
UPLOAD = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_+%=,~^.-]*(/[A-Za-z0-9_][A-Za-z0-9_+%=,~^.-]*)+')
COMMIT = re.compile(r'[0-9a-f]{40}([0-9a-f]{24})?')

PR_SET_PDEATHSIG = 1
try:
    PRCTL = ctypes.CDLL(None, use_errno=True).prctl
except (AttributeError, OSError):
    PRCTL = None


def read_config(path):
    """The settings of a file, which need not exist. Raises ValueError where it cannot be used."""
    config = {'engine': 'module-builder-task'}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding='utf-8')
        given = dict(parser.items('module_build')) if parser.has_section('module_build') else {}
    except (configparser.Error, OSError, UnicodeError) as exc:
        raise ValueError('cannot read %s: %s' % (path, exc))
    unknown = sorted(set(given) - set(config))
    if unknown:
        raise ValueError('%s: unknown setting %s' % (path, ', '.join(unknown)))
    config.update({key: value for key, value in given.items() if value})
    return config


# The engine as a process.

def die_with_parent(sig):
    """Have the kernel send this process a signal when its parent ends, however that happens."""
    if PRCTL:
        PRCTL(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)


def _before_exec(parent):
    def prepare():
        die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(127)
        # a child task may finish before the engine is ready to hear of it
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    return prepare


def run_engine(command, document, directory):
    """Run the engine to its end and return its exit status as subprocess has it.

    The document (bytes, one line) goes to its standard input, which stays open as long as this process
    lives. Its output is left in the directory, in engine.out and engine.err. SIGUSR2 is passed on.
    Whatever ends this function, the engine has ended before it returns."""
    process, before = None, signal.getsignal(signal.SIGUSR2)
    try:
        with open(os.path.join(directory, 'engine.out'), 'wb') as out, \
                open(os.path.join(directory, 'engine.err'), 'wb') as err:
            process = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=out, stderr=err,
                                       cwd=directory, preexec_fn=_before_exec(os.getpid()))
        signal.signal(signal.SIGUSR2, lambda *args: process.send_signal(signal.SIGUSR2))
        rest = memoryview(document)
        try:
            while rest:
                rest = rest[process.stdin.write(rest):]
        except BrokenPipeError:
            pass  # it has ended, and its exit status says more
        return process.wait()
    finally:
        if process:
            stop_engine(process)
        signal.signal(signal.SIGUSR2, before)


def stop_engine(process):
    """End the engine where it still runs, and reap it."""
    # kojid repeats its signals; none of them may end this too early
    before = {sig: signal.signal(sig, signal.SIG_IGN) for sig in (signal.SIGINT, signal.SIGTERM)}
    try:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdin.close()
    finally:
        for sig, handler in before.items():
            signal.signal(sig, handler)


def read_answer(directory, secret):
    """The engine's answer, the last line of its output, as a struct; None where it is no answer."""
    with open(os.path.join(directory, 'engine.out'), 'rb') as out:
        text = out.read(MAX_ANSWER + 1)
    lines = scrub(text, secret).decode('utf-8', 'replace').strip().rsplit('\n', 1)
    if len(text) > MAX_ANSWER:
        return None
    try:
        answer = json.loads(lines[-1])
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    fault = answer.get('fault')
    if fault is not None and not (isinstance(fault, dict) and isinstance(fault.get('code'), int)
                                  and isinstance(fault.get('message'), str)):
        return None
    return answer


def write_log(directory, secret):
    """What the engine wrote to standard error becomes engine.log, for all to read. Returns its path."""
    path = os.path.join(directory, 'engine.log')
    with open(os.path.join(directory, 'engine.err'), 'rb') as err:
        err.seek(max(0, os.fstat(err.fileno()).st_size - MAX_LOG))
        text = scrub(err.read(MAX_LOG), secret)
    with open(path, 'wb') as log:
        log.write(text)
    return path


def scrub(text, secret):
    """The text without the session's key."""
    return text.replace(secret.encode(), b'(session key)') if secret else text


def describe_status(status):
    if status < 0:
        return 'was ended by signal %d' % -status
    return 'ended with exit code %d' % status


def slots(maxjobs):
    """How many tasks of one method a builder takes at once."""
    return max(1, maxjobs // 5)


def has_slot(tasks, task_id, maxjobs):
    """Whether a task is among those that a builder opened first, as many as there are slots."""
    order = sorted(tasks, key=lambda task: (task.get('start_ts') or 0, task['id']))
    return task_id in [task['id'] for task in order[:slots(maxjobs)]]


# The tasks.

class ModuleBuildTask(BaseTaskHandler):
    """moduleBuild, and moduleContext for each of its contexts where there are several."""

    Methods = ['moduleBuild', 'moduleContext']
    _taskWeight = 0.2  # as Koji's own build, which waits for its subtasks too

    def checkHost(self, hostdata):
        """Asked by kojid before it takes the task; False leaves it to another builder for good."""
        engine = self._engine()
        if not shutil.which(engine):
            self.logger.error('there is no engine %s for module builds: see %s', engine, CONFIG_FILE)
            return False
        return True

    def handler(self, params):
        if not isinstance(params, dict) or params.get('__method__') != self.method:
            raise koji.ParameterError('%s takes one struct of named parameters' % self.method)
        # kojid gives the tasks of a daemon that has died to its successor: let that be the only one, and
        # leave nothing to tidy up that would be in its way
        die_with_parent(signal.SIGKILL)
        self._take_slot()
        engine = self._engine()
        source = self._fetch(self._source(params), params)
        return self._run(engine, {key: params[key] for key in params if key != '__method__'}, source)

    def removeWorkdir(self):
        """Remove the work directory, patiently: what a handler that was killed has started, git above all,
        may live on for a while and write there. It ends by itself once its files are gone."""
        for left in range(REMOVE_SECONDS, -1, -1):
            try:
                return super(ModuleBuildTask, self).removeWorkdir()
            except (koji.GenericError, OSError):
                if not left:
                    raise
                time.sleep(1)

    def _engine(self):
        try:
            return read_config(CONFIG_FILE)['engine']
        except ValueError as exc:
            raise koji.ConfigurationError(str(exc))

    def _take_slot(self):
        """Refuse the task where this builder has enough of its kind."""
        tasks = self.session.listTasks({'method': self.method, 'host_id': self.taskinfo['host_id'],
                                        'state': [koji.TASK_STATES['OPEN']]})
        if not has_slot(tasks, self.id, self.options.maxjobs):
            raise koji.tasks.RefuseTask('this builder has %d %s tasks already' % (
                slots(self.options.maxjobs), self.method))

    # The module's source.

    def _source(self, params):
        """What to build: the commit that was settled on before, where this task starts over."""
        pin = params.get('pin')
        if self.method == 'moduleBuild':
            # also the hub's check of the policy
            reserved = self.session.host.moduleReserve(self.id)
            pin = reserved['pin'] if reserved else None
            if not reserved:
                for child in self._children(params):
                    if child['method'] == 'moduleContext':
                        pin = pin or child['request'][0].get('pin')
        source = (pin or {}).get('source') or params.get('source')
        if not isinstance(source, str):
            raise koji.ParameterError('task %s says no source' % self.id)
        return source

    def _children(self, params):
        """The children of this task and of those that it resumes, the newest tasks' first."""
        tasks, resume = [self.id], (params.get('opts') or {}).get('resume')
        while resume and resume < tasks[-1] and len(tasks) < CHAIN:
            tasks.append(resume)
            request = self.session.getTaskInfo(resume, request=True, strict=True)['request']
            resume = (request[0].get('opts') or {}).get('resume') if isinstance(request[0], dict) else None
        for task in tasks:
            for child in self.session.getTaskChildren(task, request=True):
                yield child

    def _fetch(self, source, params):
        """Where the module's source is on this machine, and how to fetch the very same again."""
        if '://' not in source:
            if not UPLOAD.fullmatch(source):
                raise koji.ParameterError('%r is not the path of an uploaded file' % source)
            return {'path': self.localPath('work/' + source), 'pinned': source}
        scm = SCM(source, allow_password=self.options.allow_password_in_scm_url)
        if not scm.scmtype.startswith('GIT'):
            raise koji.BuildError('%s: the source of a module is a git repository or a file' % source)
        if scm.revision.startswith('-'):
            raise koji.BuildError('%s: no commit has such a name' % source)
        target, scratch = self._purpose(params)
        channel = self.session.getChannel(self.taskinfo['channel_id'], strict=True)['name']
        scm.assert_allowed(allowed=self.options.allowed_scms, session=self.session,
                           by_config=self.options.allowed_scms_use_config,
                           by_policy=self.options.allowed_scms_use_policy,
                           policy_data={'user_id': self.taskinfo['owner'], 'channel': channel,
                                        'scratch': scratch})
        scm.use_common = False  # that is for makefiles of packages
        about = {'build_tag': self.session.getTag(target['build_tag'], strict=True), 'scratch': scratch}
        directory = os.path.join(self.workdir, 'checkout')
        os.mkdir(directory)
        self.run_callbacks('preSCMCheckout', scminfo=scm.get_info(), **about)
        path = scm.checkout(directory, self.session, self.getUploadDir(),
                            os.path.join(self.workdir, 'checkout.log'))
        self.run_callbacks('postSCMCheckout', scminfo=scm.get_info(), srcdir=path, **about)
        inside = os.path.realpath(path)
        if os.path.commonpath([inside, os.path.realpath(directory)]) != os.path.realpath(directory) \
                or not os.path.isdir(inside):
            raise koji.BuildError('%s: there is no directory %r in this repository' % (source, scm.module))
        commit = scm.get_source()['source'].rpartition('#')[2]
        if not COMMIT.fullmatch(commit):
            raise koji.BuildError('%s: git names the commit %r' % (source, commit))
        return {'path': inside, 'pinned': '%s#%s' % (source.partition('#')[0], commit)}

    def _purpose(self, params):
        """The build target and whether it is a scratch build; of the task above for a context."""
        if self.method == 'moduleContext':
            above = self.session.getTaskInfo(self.taskinfo['parent'], request=True, strict=True)
            params = above['request'][0]
        target = self.session.getBuildTarget(params['target'], strict=True)
        return target, bool((params.get('opts') or {}).get('scratch'))

    # The engine's runs.

    def _run(self, engine, params, source):
        """Run the engine until it has an answer: after the session has been renewed, and after somebody
        has killed it, it takes up where it was."""
        idle = kills = 0
        while True:
            begun = time.monotonic()
            status, answer = self._run_once(engine, params, source)
            if answer and status == RESULT and 'result' in answer:
                return answer['result']
            if answer and status == FAULT and answer.get('fault'):
                fault = answer['fault']
                raise koji.convertFault(koji.Fault(fault['code'], fault['message']))
            idle = idle + 1 if time.monotonic() - begun < PROGRESS_SECONDS else 0
            kills += status == -signal.SIGKILL
            if status not in (EXPIRED, -signal.SIGKILL) + TOLD or idle >= IDLE_RUNS or kills >= KILLS:
                self._crashed(engine, status)
            if status in TOLD:
                time.sleep(TOLD_SECONDS)
            self.logger.warning('%s %s: starting it again', engine, describe_status(status))

    def _run_once(self, engine, params, source):
        start, key = self.session.callnum, self.session.sinfo['session-key']
        try:
            try:
                status = run_engine([engine, 'task'], self._document(params, source), self.workdir)
            finally:
                # whatever the engine has counted, this is ahead of it
                self.session.callnum = start + CALLS
        except OSError as exc:
            raise koji.GenericError('cannot run %s, see %s: %s' % (engine, CONFIG_FILE, exc))
        answer = read_answer(self.workdir, key)
        self._log = write_log(self.workdir, key)
        used = (answer or {}).get('callnum')
        if isinstance(used, int) and self.session.callnum < used < 1 << 31:
            self.session.callnum = used
        self._check_held()
        return status, answer

    def _document(self, params, source):
        opts, topdir = self.session.opts, self.options.topdir
        readable = topdir and os.access(os.path.join(topdir, 'packages'), os.R_OK | os.X_OK)
        return json.dumps({
            'protocol': 1, 'task_id': self.id, 'method': self.method, 'parameters': params,
            'hub': self.session.baseurl, 'ca': opts.get('serverca') or '',
            'no_ssl_verify': bool(opts.get('no_ssl_verify')),
            'session': {'id': self.session.sinfo['session-id'], 'key': self.session.sinfo['session-key'],
                        'callnum': self.session.callnum},
            'topdir': topdir if readable else '', 'topurl': self.options.topurl or '',
            'workdir': self.workdir, 'source': source, 'maxjobs': self.options.maxjobs,
        }).encode() + b'\n'

    def _check_held(self):
        """Make sure that the session is good, renewed where it had expired, and the task still ours."""
        least, tries = self.session.callnum, 2
        while tries:
            tries -= 1
            try:
                info = self.session.getTaskInfo(self.id, strict=True)
                break
            except koji.SequenceError:
                # Koji's client counts from 0 after a renewal, the hub goes on where it was
                if not tries:
                    raise
            finally:
                self.session.callnum = max(self.session.callnum, least)
        if info['state'] != koji.TASK_STATES['OPEN'] or info['host_id'] != self.taskinfo['host_id']:
            raise koji.GenericError('task %s is no longer with this builder' % self.id)

    def _crashed(self, engine, status):
        with open(self._log, 'rb') as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 2000))
            last = log.read().decode('utf-8', 'replace').strip()
        if last:
            self.uploadFile(self._log)
        raise koji.GenericError('%s %s%s' % (
            engine, describe_status(status),
            ', see engine.log, which ends:\n' + last if last else ' and said nothing'))
