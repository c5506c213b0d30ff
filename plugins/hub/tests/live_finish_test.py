"""The hub plugin on a real Koji, the end of a module build; live.py says what it needs.

With MODULE_BUILD_TEST_TOPDIR=/mnt/koji, writable, also what is on disk, and what a rollback leaves there.
"""

import hashlib
import json
import os
import threading
import time
import unittest
import urllib.request

from live import PREFIX, SOURCE, Live, env, koji

TOPDIR = os.environ.get(PREFIX + 'TOPDIR')
PLAN = {'packages': ['fennel'], 'macros': {'dist': '.m1'}}


class FinishTest(Live):

    def setUp(self):
        self.dest = self.admin.getBuildTarget(env('TARGET'))['dest_tag_name']
        self.maker = self.admin.moduleStatus()['content_generator']
        self.folder = 'live-finish/%s-%d' % (self.identity()['version'], os.getpid())

    def upload(self, name, data, folder=None):
        self.write(name, data)
        self.host.uploadWrapper(os.path.join(self.scratchdir, name), folder or self.folder, overwrite=True)

    def reserved(self, opts=None, **changes):
        """A task with its reservation and tags."""
        task_id = self.task(opts)
        got = self.host.host.moduleReserve(task_id, self.identity(**changes))
        self.host.host.moduleTags(task_id, PLAN)
        return task_id, got

    def finish(self, task_id, got, repo=None, build=None, **changes):
        """What is to be given to moduleFinish, uploaded."""
        repo = repo or self.host.host.moduleRepo(task_id)
        content = json.dumps(got['identity'])
        finish = {'repo_id': repo['repo_id'], 'repodata': {}}
        for arch in repo['arches']:
            files = {'repomd.xml': content, 'primary.xml.gz': arch}
            for name, data in files.items():
                self.upload(name, data, self.folder + '/' + arch)
            finish['repodata'][arch] = [self.folder + '/' + arch, sorted(files)]
        if got['build_id']:
            names = {'modulemd.txt': content, 'modulemd.x86_64.txt': 'x', 'build.log': 'built'}
            metadata = self.metadata(task_id, got, names)
            metadata['build'].update(build or {})
            for key, value in changes.items():
                metadata[key] = value
            for name, data in dict(names, **{'metadata.json': json.dumps(metadata)}).items():
                self.upload(name, data, self.folder + '/import')
            finish['directory'] = self.folder + '/import'
        return finish

    def metadata(self, task_id, got, names):
        nvr = dict(zip(('name', 'version', 'release'), got['nvr'].rsplit('-', 2)))
        module = dict(got['identity'], content_koji_tag=got['tag'])
        output = [{'buildroot_id': 1, 'filename': name, 'filesize': len(data), 'checksum_type': 'sha256',
                   'checksum': hashlib.sha256(data.encode()).hexdigest()} for name, data in names.items()]
        for out in output:
            if out['filename'].endswith('.log'):
                out.update(type='log', arch='noarch')
            else:
                out.update(type='file', arch='noarch', extra={'typeinfo': {'module': {}}},
                           components=[])
        return {
            'metadata_version': 0,
            'build': dict(nvr, build_id=got['build_id'], task_id=task_id, source=SOURCE,
                          start_time=1600000000, end_time=1600000001, extra={'typeinfo': {'module': module}}),
            'buildroots': [{'id': 1, 'host': {'os': 'x', 'arch': 'x86_64'}, 'components': [], 'tools': [],
                            'content_generator': {'name': self.maker, 'version': '1'},
                            'container': {'type': 'none', 'arch': 'x86_64'}}],
            'output': output}

    def state(self, got, repo_id):
        """(state of the build, state of the repository, tags of the build)"""
        build = self.admin.getBuild(got['build_id']) if got['build_id'] else None
        return (build and koji.BUILD_STATES[build['state']],
                koji.REPO_STATES[self.admin.repoInfo(repo_id)['state']],
                [t['name'] for t in self.admin.listTags(build=build['id'])] if build else [])

    def all_of_it(self, got, repo_id):
        self.assertEqual(self.state(got, repo_id), ('COMPLETE', 'READY', [self.dest]))

    def nothing(self, got, repo_id):
        state, repo, tags = self.state(got, repo_id)
        self.assertIn(state, ('BUILDING', 'CANCELED', 'FAILED'))
        self.assertIn(repo, ('INIT', 'PROBLEM'))  # kojira has seen that its task has ended
        self.assertEqual(tags, [])
        self.assertIsNone(self.admin.getRepo(got['tag']))

    # the whole

    def test_finish(self):
        task_id, got = self.reserved()
        self.assertIsNone(got['finished'])
        repo = self.host.host.moduleRepo(task_id)
        self.assertEqual(repo['arches'], self.admin.getTag(got['tag'])['arches'].split())
        self.assertEqual(self.host.host.moduleRepo(task_id), repo)
        self.refused('made ready by moduleFinish', self.host.host.repoDone, repo['repo_id'], {})
        finish = self.finish(task_id, got, repo)
        done = self.host.host.moduleFinish(task_id, finish)
        self.assertEqual(done, {'build_id': got['build_id'], 'nvr': got['nvr'], 'tag': got['tag'],
                                'repo_id': repo['repo_id'], 'dest_tag': self.dest})
        self.all_of_it(got, repo['repo_id'])
        # asked again, and by a builder that starts over
        self.assertEqual(self.host.host.moduleFinish(task_id, finish), done)
        self.assertEqual(self.host.host.moduleReserve(task_id)['finished'], done)
        self.refused('is finished', self.host.host.moduleRepo, task_id)
        # what people see
        build = self.admin.getBuild(got['build_id'])
        self.assertEqual((build['owner_name'], build['task_id'], build['cg_name']),
                         (env('USER').split(':')[0], task_id, self.maker))
        self.assertEqual({a['filename'] for a in self.admin.listArchives(build['id'], type='module')},
                         {'modulemd.txt', 'modulemd.x86_64.txt'})
        self.assertIn('build.log', [log['name'] for log in self.admin.getBuildLogs(build['id'])])
        self.assertIn(got['nvr'], [b['nvr'] for b in self.admin.listTagged(self.dest, type='module')])
        self.assertEqual(self.admin.getRepo(got['tag'])['id'], repo['repo_id'])
        info = self.admin.repoInfo(repo['repo_id'])
        self.assertEqual((info['custom_opts'], info['opts']['src'], info['opts']['debuginfo']),
                         ({}, True, True))
        # nothing that ends it for Koji: kojira keeps it, as its tag has not changed
        self.admin.repo.updateEndEvents()
        self.assertIsNone(self.admin.repoInfo(repo['repo_id'])['end_event'])
        self.host.host.closeTask(task_id, koji.xmlrpcplus.dumps(({},), methodresponse=1, allow_none=1))
        self.assertEqual(self.admin.getBuild(build['id'])['state'], koji.BUILD_STATES['COMPLETE'])
        self.admin.repo.updateEndEvents()
        self.assertIsNone(self.admin.repoInfo(repo['repo_id'])['end_event'])
        if TOPDIR:
            base = os.path.join(TOPDIR, 'repos', got['tag'])
            self.assertEqual(os.readlink(os.path.join(base, 'latest')), str(repo['repo_id']))
            for name in ('repomd.xml', 'primary.xml.gz'):
                self.assertTrue(os.path.isfile(os.path.join(base, 'latest', 'x86_64', 'repodata', name)))
            left = os.listdir(os.path.join(TOPDIR, 'work', 'module-build'))
            self.assertEqual([name for name in left if name.startswith('%d-' % task_id)], [])

    def test_bad_finish(self):
        task_id, got = self.reserved()
        repo = self.host.host.moduleRepo(task_id)
        good = self.finish(task_id, got, repo)
        data = good['repodata']
        folder, files = data['x86_64']
        for text, bad in (
                ('what is to be finished has', {}), ('what is to be finished has', dict(good, extra=1)),
                ('repo_id is', dict(good, repo_id='1')), ('must be for', dict(good, repodata={})),
                ('must be for', dict(good, repodata=dict(data, vax=[folder, files]))),
                ('has no repomd.xml', dict(good, repodata={'x86_64': [folder, files[:1]]})),
                ('a file of', dict(good, repodata={'x86_64': [folder, files + ['../x']]})),
                ('names a file twice', dict(good, repodata={'x86_64': [folder, files * 2]})),
                ('an uploaded directory', dict(good, repodata={'x86_64': ['../../x', files]})),
                ('no uploaded directory', dict(good, repodata={'x86_64': [folder + '/none', files]})),
                ('no uploaded file', dict(good, repodata={'x86_64': [folder, files + ['none.xml']]})),
                ('no uploaded directory', dict(good, directory=folder + '/none')),
                ('no uploaded file', dict(good, directory=folder))):
            with self.subTest(text=text, bad=bad):
                self.refused(text, self.host.host.moduleFinish, task_id, bad)
                self.nothing(got, repo['repo_id'])
        for text, change in (
                ('name of the build', {'build': {'name': 'other'}}),
                ('task_id of', {'build': {'task_id': 1}}),
                ('build_id of', {'build': {'build_id': 1}}), ('release of', {'build': {'release': '1'}}),
                ('content_koji_tag',
                 {'build': {'extra': {'typeinfo': {'module': {'content_koji_tag': 'x'}}}}}),
                ('no other', {'build': {'extra': {'typeinfo': {'rpm': {}, 'module': {
                    'content_koji_tag': got['tag']}}}}}),
                ('not as it should be', {'output': None}), ('not as it should be', {'buildroots': 7}),
                ('checksum mismatch', {'output': [dict(self.metadata(task_id, got, {'build.log': 'other'})[
                    'output'][0])]})):
            with self.subTest(text=text, change=change):
                bad = self.finish(task_id, got, repo, **change)
                self.refused(text, self.host.host.moduleFinish, task_id, bad)
                self.nothing(got, repo['repo_id'])
        # and none of it is in the way
        self.host.host.moduleFinish(task_id, self.finish(task_id, got, repo))
        self.all_of_it(got, repo['repo_id'])

    def test_other_repository(self):
        task_id, got = self.reserved()
        repo = self.host.host.moduleRepo(task_id)
        finish = self.finish(task_id, got, repo)
        other, other_got = self.reserved()
        other_repo = self.host.host.moduleRepo(other)
        self.refused('was not made by', self.host.host.moduleFinish, task_id,
                     dict(finish, repo_id=other_repo['repo_id']))
        # a tag that has changed since
        self.admin.packageListAdd(got['tag'], 'fennel-extra', owner=env('USER').split(':')[0])
        self.refused('make another', self.host.host.moduleFinish, task_id, finish)
        self.nothing(got, repo['repo_id'])
        second = self.host.host.moduleRepo(task_id)
        self.assertNotEqual(second['repo_id'], repo['repo_id'])
        self.host.host.moduleFinish(task_id, dict(finish, repo_id=second['repo_id']))
        self.all_of_it(got, second['repo_id'])
        self.nothing(other_got, other_repo['repo_id'])

    @unittest.skipUnless(TOPDIR, PREFIX + 'TOPDIR is not set')
    def test_left_over_files(self):
        """As when the hub dies, or cannot commit, after it has moved the files."""
        task_id, got = self.reserved()
        repo = self.host.host.moduleRepo(task_id)
        name, version, release = got['nvr'].rsplit('-', 2)
        build = os.path.join(TOPDIR, 'packages', name, version, release)
        repodata = os.path.join(TOPDIR, 'repos', got['tag'], str(repo['repo_id']), 'x86_64', 'repodata')
        stage = os.path.join(TOPDIR, 'work', 'module-build', '%d-killed' % task_id, 'import')
        for path in (build + '/files/module', build + '/data/logs', repodata, stage):
            os.makedirs(path)
        for path in (build + '/files/module/modulemd.txt', build + '/data/logs/build.log',
                     build + '/metadata.json',
                     repodata + '/repomd.xml', repodata + '/old-primary.xml.gz', stage + '/modulemd.txt'):
            with open(path, 'w') as left:
                left.write('left over')
        os.system('chmod -R a+rwX %s %s %s' % (os.path.dirname(build), os.path.dirname(repodata),
                                               os.path.dirname(stage)))
        finish = self.finish(task_id, got, repo)
        self.host.host.moduleFinish(task_id, finish)
        self.all_of_it(got, repo['repo_id'])
        self.assertEqual(sorted(os.listdir(repodata)), ['primary.xml.gz', 'repomd.xml'])
        with open(build + '/files/module/modulemd.txt') as new:
            self.assertEqual(new.read(), json.dumps(got['identity']))
        self.assertFalse(os.path.exists(stage))

    def test_destination_refuses(self):
        task_id, got = self.reserved()
        repo = self.host.host.moduleRepo(task_id)
        finish = self.finish(task_id, got, repo)
        calls = ((self.admin.editTag2, {'locked': True}, {'locked': False}, 'tag is locked'),
                 (self.admin.editTag2, {'perm': 'admin'}, {'perm_id': None}, 'requires admin permission'))
        for call, change, undo, text in calls:
            call(self.dest, **change)
            try:
                self.refused(text, self.host.host.moduleFinish, task_id, finish)
                self.nothing(got, repo['repo_id'])
                self.refused(text, self.host.host.moduleReserve, self.task(), self.identity())
            finally:
                call(self.dest, **undo)
        self.admin.packageListBlock(self.dest, 'live')
        try:
            self.refused('blocked', self.host.host.moduleFinish, task_id, finish)
            fault = self.refused('blocked', self.host.host.moduleReserve, self.task(), self.identity())
            self.assertNotIsInstance(fault, koji.BuildError)  # the next version would not help
        finally:
            self.admin.packageListUnblock(self.dest, 'live')
        self.nothing(got, repo['repo_id'])
        self.host.host.moduleFinish(task_id, finish)
        self.all_of_it(got, repo['repo_id'])

    def test_policies_refuse_early(self):
        for text, name in (('Not there', 'forbidden-destination'), ('Not here', 'forbidden-import')):
            task_id, identity = self.task(), self.identity(name=name)
            self.refused(text, self.host.host.moduleReserve, task_id, identity)
            self.assertIsNone(self.admin.getBuild('%(name)s-a_1-%(version)s.%(context)s' % identity))
            self.assertIsNone(self.host.host.moduleReserve(task_id))

    # the same from several sides at once

    def test_twice_at_once(self):
        task_id, got = self.reserved()
        finish, answers = self.finish(task_id, got), []
        sessions = [self.host.subsession() for _ in range(3)]
        threads = [threading.Thread(target=lambda s=s: answers.append(s.host.moduleFinish(task_id, finish)))
                   for s in sessions]
        for step in ('start', 'join'):
            for thread in threads:
                getattr(thread, step)()
        for session in sessions:
            session.logout()
        self.assertEqual(len(answers), 3)
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])
        self.all_of_it(got, finish['repo_id'])

    def test_cancelled_meanwhile(self):
        outcomes = set()
        for delay in [i / 100 for i in range(-20, 40, 3)]:  # below zero the cancellation is first
            task_id, got = self.reserved()
            finish, answers = self.finish(task_id, got), []

            def finishing(session):
                time.sleep(max(0, -delay))
                try:
                    answers.append(session.host.moduleFinish(task_id, finish))
                except koji.GenericError as exc:
                    answers.append(exc)
            session = self.host.subsession()
            thread = threading.Thread(target=finishing, args=(session,))
            thread.start()
            time.sleep(max(0, delay))
            late = None
            try:
                self.user.cancelTask(task_id)
            except koji.GenericError as exc:
                late = str(exc)
            thread.join()
            session.logout()
            if isinstance(answers[0], dict):
                self.all_of_it(got, finish['repo_id'])
                self.assertIn('too late to cancel', late or '')
            else:
                self.assertIn('does not own task', str(answers[0]))
                self.nothing(got, finish['repo_id'])
                self.assertEqual(self.state(got, finish['repo_id'])[0], 'CANCELED')
            outcomes.add(isinstance(answers[0], dict))
            # and again at once
            again = self.task()
            self.refused('of that name', self.host.host.moduleReserve, again, got['identity'])
            self.assertTrue(self.host.host.moduleReserve(again, self.identity())['build_id'])
        self.assertEqual(outcomes, {True, False})

    def test_failed(self):
        task_id, got = self.reserved()
        repo = self.host.host.moduleRepo(task_id)
        finish = self.finish(task_id, got, repo)
        self.fail_task(task_id)
        self.refused('does not own task', self.host.host.moduleFinish, task_id, finish)
        self.nothing(got, repo['repo_id'])
        self.assertEqual(self.state(got, repo['repo_id'])[0], 'FAILED')
        # the task that resumes it has the reservation with its pin, and a repository of its own
        again = self.task({'resume': task_id})
        second = self.host.host.moduleReserve(again)
        self.assertEqual({k: second[k] for k in ('identity', 'tag', 'build_id', 'first_task')},
                         {k: got[k] for k in ('identity', 'tag', 'build_id', 'first_task')})
        self.host.host.moduleTags(again, PLAN)
        self.refused('was not made by', self.host.host.moduleFinish, again, finish)
        done = self.host.host.moduleFinish(again, self.finish(again, second))
        self.all_of_it(got, done['repo_id'])

    def test_cancelled_after(self):
        """Published: it is too late to cancel. Of a task whose builder was lost then, who resumes it finds it
        done."""
        task_id, got = self.reserved()
        done = self.host.host.moduleFinish(task_id, self.finish(task_id, got))
        self.refused('too late to cancel', self.user.cancelTask, task_id)
        self.admin.freeTask(task_id)
        self.user.cancelTask(task_id)
        self.all_of_it(got, done['repo_id'])
        again = self.task({'resume': task_id})
        for _ in range(2):
            self.assertEqual(self.host.host.moduleReserve(again)['finished'], done)
        self.refused('reserved no module', self.host.host.moduleFinish, again, {})
        self.host.host.closeTask(again, koji.xmlrpcplus.dumps(({},), methodresponse=1, allow_none=1))
        self.all_of_it(got, done['repo_id'])
        self.admin.repo.updateEndEvents()
        self.assertIsNone(self.admin.repoInfo(done['repo_id'])['end_event'])

    # scratch

    def test_scratch(self):
        task_id, got = self.reserved({'scratch': True}, context='c0ffee00_1')
        finish = self.finish(task_id, got)
        self.refused('finished has repo_id', self.host.host.moduleFinish, task_id,
                     dict(finish, directory='a/b'))
        done = self.host.host.moduleFinish(task_id, finish)
        self.assertEqual(done, {'build_id': None, 'nvr': got['nvr'], 'tag': got['tag'],
                                'repo_id': finish['repo_id'], 'dest_tag': None})
        for name in (got['tag'], got['tag'] + '-build'):
            self.assertIsNone(self.admin.getTag(name))
        self.assertIsNone(self.admin.getBuild(got['nvr']))
        self.assertEqual(koji.REPO_STATES[self.admin.repoInfo(finish['repo_id'])['state']], 'READY')
        self.assertEqual(self.host.host.moduleFinish(task_id, finish), done)
        self.assertEqual(self.host.host.moduleReserve(task_id)['finished'], done)
        self.assertEqual(self.host.host.moduleReserve(task_id, got['identity'])['finished'], done)
        self.refused('is finished', self.host.host.moduleRepo, task_id)
        # kojira's work goes on with a repository whose tag is gone
        self.admin.repo.updateEndEvents()
        self.assertIsNotNone(self.admin.repoInfo(finish['repo_id'])['end_event'])
        url = self.host.baseurl.rsplit('/', 1)[0] + '/kojifiles/repos/%s/latest/x86_64/repodata/repomd.xml'
        with urllib.request.urlopen(url % got['tag'].replace('+', '%2B')) as reply:
            self.assertEqual(json.loads(reply.read().decode()), got['identity'])
        self.host.host.closeTask(task_id, koji.xmlrpcplus.dumps(({},), methodresponse=1, allow_none=1))
        self.assertEqual(koji.REPO_STATES[self.admin.repoInfo(finish['repo_id'])['state']], 'READY')

    def test_scratch_that_ends_otherwise(self):
        for end in (self.user.cancelTask, self.fail_task,
                    lambda t: self.host.host.closeTask(t, koji.xmlrpcplus.dumps(({},), methodresponse=1))):
            task_id, got = self.reserved({'scratch': True}, context='c0ffee00_1')
            repo_id = self.host.host.moduleRepo(task_id)['repo_id']
            end(task_id)
            for name in (got['tag'], got['tag'] + '-build'):
                self.assertIsNone(self.admin.getTag(name), name)
            self.assertNotEqual(koji.REPO_STATES[self.admin.repoInfo(repo_id)['state']], 'READY')
            self.assertIsNotNone(self.admin.getTaskInfo(task_id)['completion_time'])
            # the same again, with a tag of its own
            again = self.task({'scratch': True})
            second = self.host.host.moduleReserve(again, got['identity'], {'commit': '1'})
            self.assertEqual(second['tag'], got['tag'].replace('+%d' % task_id, '+%d' % again))

    def test_scratch_resumed(self):
        first = self.task({'scratch': True})
        got = self.host.host.moduleReserve(first, self.identity(context='c0ffee00_1'), {'commit': '0123'})
        self.user.cancelTask(first)
        again = self.task({'scratch': True, 'resume': first})
        second = self.host.host.moduleReserve(again)
        self.assertEqual((second['identity'], second['pin'], second['first_task']),
                         (got['identity'], {'commit': '0123'}, first))
        self.assertEqual(second['tag'], got['tag'].replace('+%d' % first, '+%d' % again))
        self.user.cancelTask(again)
        third = self.task({'scratch': True, 'resume': again, 'version': '7'})
        self.assertIsNone(self.host.host.moduleReserve(third))

    # several contexts

    def contexts(self, root, *identities):
        tasks = []
        for identity in identities:
            params = dict(identity, __method__='moduleContext', pin={'time': 1})
            child = self.host.host.subtask('moduleContext', [params], root,
                                           label='context:' + identity['context'])
            self.assertTrue(self.host.host.openTask(child))
            tasks.append(child)
        return tasks

    def test_contexts(self):
        root, a = self.task(), self.identity()
        b = dict(a, context='c0ffee01')
        first, second = self.contexts(root, a, b)
        got_a, got_b = [self.host.host.moduleReserve(task) for task in (first, second)]
        self.assertEqual({got_a['first_task'], got_b['first_task']}, {root})
        for task in (first, second):
            self.host.host.moduleTags(task, PLAN)
        done = self.host.host.moduleFinish(first, self.finish(first, got_a))
        repo_b = self.host.host.moduleRepo(second)
        finish_b = self.finish(second, got_b, repo_b)
        self.fail_task(root)  # as by a builder that has lost its engine: the contexts end with it
        self.assertEqual(koji.TASK_STATES[self.admin.getTaskInfo(second)['state']], 'CANCELED')
        self.refused('does not own task', self.host.host.moduleFinish, second, finish_b)
        self.all_of_it(got_a, done['repo_id'])
        self.nothing(got_b, repo_b['repo_id'])
        self.assertEqual(self.state(got_b, repo_b['repo_id'])[0], 'CANCELED')
        # resumed: what is finished is finished, the other goes on
        again = self.task({'resume': root})
        self.assertIsNone(self.host.host.moduleReserve(again))
        first2, second2 = self.contexts(again, a, b)
        self.assertEqual(self.host.host.moduleReserve(first2)['finished'], done)
        got = self.host.host.moduleReserve(second2)
        self.assertEqual((got['finished'], got['build_id'], got['tag'], got['first_task']),
                         (None, got_b['build_id'], got_b['tag'], root))
        self.host.host.moduleTags(second2, PLAN)
        done_b = self.host.host.moduleFinish(second2, self.finish(second2, got))
        self.all_of_it(got_b, done_b['repo_id'])
        self.all_of_it(got_a, done['repo_id'])

    def test_contexts_cancelled(self):
        for opts, context in ((None, 'c0ffee00'), ({'scratch': True}, 'c0ffee00_1')):
            root, a = self.task(opts), self.identity(context=context)
            child, = self.contexts(root, a)
            got = self.host.host.moduleReserve(child)
            self.host.host.moduleTags(child, PLAN)
            finish = self.finish(child, got)
            self.user.cancelTask(root)
            self.assertEqual(koji.TASK_STATES[self.admin.getTaskInfo(child)['state']], 'CANCELED')
            self.refused('does not own task', self.host.host.moduleFinish, child, finish)
            if opts:
                self.assertIsNone(self.admin.getTag(got['tag']))
            else:
                self.nothing(got, finish['repo_id'])

    # resubmitted

    def test_resubmitted(self):
        task_id, got = self.reserved()
        finish = self.finish(task_id, got)
        self.user.cancelTask(task_id)
        again = self.user.resubmitTask(task_id)
        self.open_tasks.append(again)
        self.assertTrue(self.host.host.openTask(again))
        self.assertIsNone(self.host.host.moduleReserve(again))
        self.refused('reserved no module', self.host.host.moduleFinish, again, finish)
        self.refused('of that name', self.host.host.moduleReserve, again, got['identity'])
        self.assertTrue(self.host.host.moduleReserve(again, self.identity())['build_id'])

    # for administrators

    def test_status_and_prune(self):
        complete, got = self.reserved()
        self.host.host.moduleFinish(complete, self.finish(complete, got))
        self.host.host.closeTask(complete, koji.xmlrpcplus.dumps(({},), methodresponse=1, allow_none=1))
        failed, failed_got = self.reserved()
        self.fail_task(failed)
        running, running_got = self.reserved()
        anonymous = koji.ClientSession(env('HUB'))
        status = anonymous.moduleStatus()
        self.assertEqual((status['problems'], status['leftovers']['reservations']), ([], []))
        left = status['leftovers']['tags']
        self.assertEqual([name in left for name in (failed_got['tag'], got['tag'], running_got['tag'])],
                         [True, False, False])
        self.refused('needs the permission', self.user.modulePrune)
        self.refused('needs the permission', self.other.modulePrune, 0, False)
        self.refused('days is', self.admin.modulePrune, -1)
        self.refused('dry_run is', self.admin.modulePrune, 0, 'yes')
        self.assertNotIn(failed_got['tag'], [row['tag'] for row in self.admin.modulePrune(1)])
        listed = {row['tag'] for row in self.admin.modulePrune(0)}
        gone = {failed_got['tag'], failed_got['tag'] + '-build', got['tag'] + '-build'}
        kept = {got['tag'], running_got['tag'], running_got['tag'] + '-build'}
        self.assertEqual((gone - listed, kept & listed), (set(), set()))
        self.assertTrue(all(self.admin.getTag(name) for name in gone | kept))
        self.assertEqual(gone - {row['tag'] for row in self.admin.modulePrune(0, False)}, set())
        self.assertEqual({name for name in gone | kept if self.admin.getTag(name)}, kept)
        self.admin.repo.updateEndEvents()
        done = self.admin.getRepo(got['tag'])
        self.assertIsNone(self.admin.repoInfo(done['id'])['end_event'])


if __name__ == '__main__':
    unittest.main(verbosity=2)
