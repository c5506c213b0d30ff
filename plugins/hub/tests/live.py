"""What the live tests of the hub plugin share: accounts, tasks that a test plays the builder of.

    PYTHONPATH=/path/to/koji MODULE_BUILD_TEST_HUB=http://127.0.0.1:18080/kojihub \
    MODULE_BUILD_TEST_ADMIN=kojiadmin:adminpw MODULE_BUILD_TEST_USER=packager:packagerpw \
    MODULE_BUILD_TEST_OTHER=stranger:pw MODULE_BUILD_TEST_HOST=builder2:builderpw \
    MODULE_BUILD_TEST_OTHER_HOST=builder3:builderpw MODULE_BUILD_TEST_TARGET=f99 \
    MODULE_BUILD_TEST_SRPM=fennel-1-1.src.rpm python3 live_test.py; python3 live_finish_test.py

HOST and OTHER_HOST are hosts that no kojid serves; the policy "channel" sends moduleBuild and
moduleContext to a channel of theirs, so that these tests can be the builder. USER may build modules
(policy module_build), OTHER may not; the policies have the lines of the plugin's own text, and deny
the module forbidden-module, in the policy tag the module forbidden-destination in the target's
destination, in the policy cg_import the module forbidden-import ("Not there", "Not here"). A real
builder serves the channels default and createrepo: it makes the repository, and builds the SRPM as a
component where one is given, with %{?dist} in its Release.
"""

import hashlib
import os
import tempfile
import time
import unittest

PREFIX = 'MODULE_BUILD_TEST_'
NEEDED = ('HUB', 'ADMIN', 'USER', 'OTHER', 'HOST', 'OTHER_HOST', 'TARGET')
MISSING = [PREFIX + name for name in NEEDED if not os.environ.get(PREFIX + name)]
try:
    import koji
except ImportError:
    koji = None
    MISSING.append('the Python module koji')
SOURCE = 'git+https://src.example/modules/live#0123456789abcdef'


def env(name):
    return os.environ[PREFIX + name]


def login(name, exclusive=False):
    user, password = env(name).split(':', 1)
    session = koji.ClientSession(env('HUB'), {'user': user, 'password': password})
    session.login()
    if exclusive:
        session.exclusiveSession(force=True)
    return session


@unittest.skipIf(MISSING, 'not set: ' + ', '.join(MISSING))
class Live(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.admin, cls.user, cls.other = login('ADMIN'), login('USER'), login('OTHER')
        cls.host, cls.other_host = login('HOST', True), login('OTHER_HOST', True)
        # a version that no other run has
        cls.serial = int('%d%04d000' % (time.time(), os.getpid() % 10000))
        cls.open_tasks = []
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.scratchdir = directory.name

    @classmethod
    def tearDownClass(cls):
        for task_id in cls.open_tasks:
            try:
                cls.admin.cancelTask(task_id)
            except koji.GenericError:  # published, and never closed
                for task in [{'id': task_id}] + cls.admin.getTaskChildren(task_id):
                    if cls.admin.getTaskInfo(task['id'])['state'] == koji.TASK_STATES['OPEN']:
                        cls.admin.freeTask(task['id'])
                cls.admin.cancelTask(task_id)
        for session in (cls.admin, cls.user, cls.other, cls.host, cls.other_host):
            session.logout()

    def identity(self, **changes):
        type(self).serial += 1
        return dict({'name': 'live', 'stream': 'a-1', 'version': str(self.serial),
                     'context': 'c0ffee00'}, **changes)

    def task(self, opts=None, session=None):
        """A module task that HOST holds."""
        task_id = (session or self.user).moduleBuild(SOURCE, env('TARGET'), opts)
        self.open_tasks.append(task_id)
        self.assertTrue(self.host.host.openTask(task_id))
        return task_id

    def write(self, name, data):
        with open(os.path.join(self.scratchdir, name), 'w') as new:
            new.write(data)

    def fail_task(self, task_id):
        self.host.host.failTask(task_id, koji.xmlrpcplus.dumps(koji.xmlrpcplus.Fault(1, 'a test')))

    def refused(self, text, call, *args):
        with self.assertRaises(koji.GenericError) as caught:
            call(*args)
        self.assertIn(text, str(caught.exception))
        return caught.exception

    def wait(self, task_id, state='CLOSED'):
        deadline = time.time() + 300
        while time.time() < deadline:
            info = self.admin.getTaskInfo(task_id)
            if koji.TASK_STATES[info['state']] in ('CLOSED', 'FAILED', 'CANCELED'):
                break
            time.sleep(1)
        result = None
        try:
            result = self.admin.getTaskResult(task_id)
        except koji.GenericError as exc:
            result = str(exc)
        self.assertEqual(koji.TASK_STATES[info['state']], state, result)
        return result

    def required(self, identity, tag):
        """A complete module build that says its packages are in tag."""
        name = env('ADMIN').split(':')[0]
        if not any(name in cg['users'] for cg in self.admin.listCGs().values()):
            self.admin.grantCGAccess(name, 'module-live-test', create=True)
        folder = 'live-test/%s' % identity['version']
        self.write('build.log', 'built')
        self.admin.uploadWrapper(os.path.join(self.scratchdir, 'build.log'), folder)
        cg = [cg for cg, info in self.admin.listCGs().items() if name in info['users']][0]
        return self.admin.CGImport({
            'metadata_version': 0,
            'build': {'name': identity['name'], 'version': identity['stream'], 'source': None,
                      'release': identity['version'], 'start_time': 1, 'end_time': 2,
                      'extra': {'typeinfo': {'module': {'content_koji_tag': tag}}}},
            'buildroots': [{'id': 1, 'host': {'os': 'x', 'arch': 'x86_64'}, 'components': [], 'tools': [],
                            'content_generator': {'name': cg, 'version': '1'},
                            'container': {'type': 'none', 'arch': 'x86_64'}}],
            'output': [{'buildroot_id': 1, 'arch': 'noarch', 'type': 'log', 'filename': 'build.log',
                        'filesize': 5, 'checksum_type': 'md5',
                        'checksum': hashlib.md5(b'built').hexdigest()}]}, folder)['id']
