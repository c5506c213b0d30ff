"""The hub plugin on a real Koji, up to the components; live.py says what it needs."""

import os
import threading
import unittest

from live import PREFIX, SOURCE, Live, env, koji, login


class LiveTest(Live):

    # moduleBuild

    def test_request(self):
        task_id = self.task({'scratch': True, 'keep_going': False, 'background': True})
        info = self.admin.getTaskInfo(task_id, request=True)
        self.assertEqual(info['request'], [{'__method__': 'moduleBuild', 'source': SOURCE,
                                            'target': env('TARGET'),
                                            'opts': {'scratch': True, 'background': True}}])
        self.assertEqual(info['priority'], koji.PRIO_DEFAULT + 5)
        self.assertEqual(info['owner'], self.user.getLoggedInUser()['id'])

    def test_request_refused(self):
        anonymous = koji.ClientSession(env('HUB'))
        self.refused('logged in', anonymous.moduleBuild, SOURCE, env('TARGET'))
        self.refused('policy violation (module_build)', self.other.moduleBuild, SOURCE, env('TARGET'))
        self.refused('No such build target', self.user.moduleBuild, SOURCE, 'no-such-target')
        for text, source, opts in (
                ('must be URL#REF', 'https://src.example/m', None),
                ('must be URL#REF', '../../etc/passwd', None),
                ('at most 2048', 'https://src.example/m#' + 'a' * 2048, None),
                ('no option', SOURCE, {'arches': 'x86_64'}),
                ('is no module build of yours', SOURCE, {'resume': 2 ** 31 - 1})):
            self.refused(text, self.user.moduleBuild, source, env('TARGET'), opts)

    # names and reservations

    def test_reserve(self):
        identity, task_id = self.identity(), self.task()
        self.assertIsNone(self.host.host.moduleReserve(task_id))
        first = self.host.host.moduleReserve(task_id, identity, {'commit': '0123'})
        self.assertEqual(first['tag'], 'module-live-a-1-%s-c0ffee00' % identity['version'])
        self.assertEqual(first['nvr'], 'live-a_1-%s.c0ffee00' % identity['version'])
        self.assertEqual((first['identity'], first['pin'], first['first_task']),
                         (identity, {'commit': '0123'}, task_id))
        self.assertEqual(self.host.host.moduleReserve(task_id, identity), first)
        self.assertEqual(self.host.host.moduleReserve(task_id), first)
        build = self.admin.getBuild(first['build_id'])
        self.assertEqual((build['state'], build['task_id'], build['owner_name']),
                         (koji.BUILD_STATES['BUILDING'], task_id, env('USER').split(':')[0]))
        self.assertEqual([b['nvr'] for b in self.admin.listBuilds(taskID=task_id, type='module')],
                         [first['nvr']])
        tag = self.admin.getTag(first['tag'])
        self.assertEqual((tag['extra']['module.task'], tag['perm']), (task_id, 'admin'))
        self.assertIn('live', [p['package_name'] for p in self.admin.listPackages(
            tagID=self.admin.getBuildTarget(env('TARGET'))['dest_tag'], inherited=True)])
        self.refused('has reserved', self.host.host.moduleReserve, task_id, self.identity())

    def test_version(self):
        identity = self.identity()
        task_id = self.task({'version': int(identity['version'])})
        self.refused('asked to build version', self.host.host.moduleReserve, task_id, self.identity())
        self.assertEqual(self.host.host.moduleReserve(task_id, identity)['identity'], identity)

    def test_policy_of_the_identity(self):
        self.refused('This name is taken', self.host.host.moduleReserve, self.task(),
                     self.identity(name='forbidden-module'))

    def test_taken(self):
        identity, first = self.identity(), self.task()
        self.host.host.moduleReserve(first, identity)
        fault = self.refused('of that name', self.host.host.moduleReserve, self.task(), identity)
        self.assertIsInstance(fault, koji.BuildError)
        self.fail_task(first)
        self.refused('of that name', self.host.host.moduleReserve, self.task(), identity)

    def test_two_at_once(self):
        identity, tasks, faults = self.identity(), [self.task(), self.task()], []

        def reserve(session, task_id):
            try:
                session.host.moduleReserve(task_id, identity)
            except koji.GenericError as exc:
                faults.append(exc)
        sessions = [self.host.subsession() for _ in tasks]
        threads = [threading.Thread(target=reserve, args=pair) for pair in zip(sessions, tasks)]
        for step in ('start', 'join'):
            for thread in threads:
                getattr(thread, step)()
        for session in sessions:
            session.logout()
        self.assertEqual([type(fault) for fault in faults], [koji.BuildError], faults)

    def test_scratch(self):
        identity, task_id = self.identity(context='c0ffee00_1'), self.task({'scratch': True})
        got = self.host.host.moduleReserve(task_id, identity)
        self.assertEqual((got['tag'], got['build_id']),
                         ('scrmod-live-a-1-%s-c0ffee00_1+%d' % (identity['version'], task_id), None))
        self.assertIsNone(self.admin.getBuild(got['nvr']))

    def test_context(self):
        identity, root = self.identity(), self.task()
        params = dict(identity, __method__='moduleContext')
        child = self.host.host.subtask('moduleContext', [params], root, label='context:c0ffee00')
        self.assertTrue(self.host.host.openTask(child))
        self.refused('another context', self.host.host.moduleReserve, child, self.identity())
        got = self.host.host.moduleReserve(child)
        self.assertEqual((got['identity'], got['first_task']), (identity, root))
        self.assertEqual(self.admin.getBuild(got['build_id'])['task_id'], child)

    # the end of a reservation

    def test_cancelled_and_resumed(self):
        identity, task_id = self.identity(), self.task()
        first = self.host.host.moduleReserve(task_id, identity, {'commit': '0123'})
        tags = self.host.host.moduleTags(task_id, {'packages': ['a'], 'macros': {'dist': '.m1'}})
        self.refused('neither failed nor', self.user.moduleBuild, SOURCE, env('TARGET'), {'resume': task_id})
        self.user.cancelTask(task_id)
        self.assertEqual(self.admin.getBuild(first['build_id'])['state'], koji.BUILD_STATES['CANCELED'])
        self.refused('does not own task', self.host.host.moduleReserve, task_id, identity)
        self.refused('another source', self.user.moduleBuild, SOURCE + '1', env('TARGET'),
                     {'resume': task_id})
        self.refused('no module build of yours', self.admin.moduleBuild, SOURCE, env('TARGET'),
                     {'resume': task_id})
        again = self.task({'resume': task_id})
        second = self.host.host.moduleReserve(again, identity)
        self.assertEqual(second, dict(first))  # build, tag, pin and first task are the old ones
        build = self.admin.getBuild(first['build_id'])
        self.assertEqual((build['state'], build['task_id']), (koji.BUILD_STATES['BUILDING'], again))
        self.assertEqual(self.host.host.moduleTags(again, {'packages': ['a'], 'macros': {'dist': '.m1'}}),
                         tags)
        self.fail_task(again)
        self.assertEqual(self.admin.getBuild(first['build_id'])['state'], koji.BUILD_STATES['FAILED'])
        third = self.host.host.moduleReserve(self.task({'resume': again}), identity)
        self.assertEqual((third['build_id'], third['first_task']), (first['build_id'], task_id))

    def test_freed_task_keeps_its_reservation(self):
        identity, task_id = self.identity(), self.task()
        first = self.host.host.moduleReserve(task_id, identity)
        self.admin.freeTask(task_id)
        self.assertTrue(self.host.host.openTask(task_id))
        self.assertEqual(self.host.host.moduleReserve(task_id), first)

    def test_closed_without_a_build(self):
        task_id = self.task()
        got = self.host.host.moduleReserve(task_id, self.identity())
        self.host.host.closeTask(task_id, koji.xmlrpcplus.dumps((None,), methodresponse=1, allow_none=1))
        self.assertEqual(self.admin.getBuild(got['build_id'])['state'], koji.BUILD_STATES['FAILED'])
        self.assertEqual(self.admin.getTaskInfo(task_id)['state'], koji.TASK_STATES['CLOSED'])

    # refused callers

    def test_callers(self):
        task_id, identity = self.task(), self.identity()
        calls = (('moduleReserve', identity), ('moduleTags', {}), ('moduleTagBuild', 1), ('moduleRepo',),
                 ('moduleFinish', {}))
        build = self.admin.makeTask('build', ['cli-build/x/y.src.rpm', env('TARGET'), {}], channel='module')
        self.open_tasks.append(build)
        self.assertTrue(self.host.host.openTask(build))
        free = self.user.moduleBuild(SOURCE, env('TARGET'))
        self.open_tasks.append(free)
        for name, *arguments in calls:
            for text, session, task in (
                    ('does not own task', self.other_host, task_id), ('is not a host', self.user, task_id),
                    ('is not a host', self.admin, task_id), ('does not own task', self.host, free),
                    ('is no module build', self.host, build), ('No such task', self.host, 1 << 30)):
                with self.subTest(call=name, why=text):
                    self.refused(text, getattr(session.host, name), task, *arguments)
        self.assertIsNone(self.host.host.moduleReserve(task_id))

    # tags and their guards

    def test_tags(self):
        """Tags, refusals, a repository and a component in one go: the repository takes its time."""
        task_id, identity = self.task(), self.identity()
        srpm = os.environ.get(PREFIX + 'SRPM')
        name = koji.get_header_fields(srpm, ['name'])['name'] if srpm else 'fennel'
        self.refused('reserved no module', self.host.host.moduleTags, task_id, {})
        self.host.host.moduleReserve(task_id, identity)
        macros = {'dist': '.module+f99+1+%s' % identity['version'], '_module_name': 'live',
                  'two(n:)': 'one\\\ntwo'}
        plan = {'packages': [name, 'other'], 'macros': macros, 'groups': {'build': ['bash']}}
        self.refused('needs a value', self.host.host.moduleTags, task_id, dict(plan, macros={'dist': ''}))
        self.refused('architectures', self.host.host.moduleTags, task_id, dict(plan, arches=['vax']))
        tags = self.host.host.moduleTags(task_id, plan)
        self.assertEqual(self.host.host.moduleTags(task_id, plan), tags)
        self.refused('another plan', self.host.host.moduleTags, task_id, dict(plan, packages=[name]))
        config = self.admin.getBuildConfig(tags['build_tag'])
        self.assertEqual({k[10:]: v for k, v in config['extra'].items() if k.startswith('rpm.macro.')},
                         macros)
        self.assertEqual(config['arches'].split(), tags['arches'])
        self.assertEqual(self.admin.getTag(tags['tag'])['extra']['repo.opts'],
                         {'src': True, 'debuginfo': True, 'separate_src': False})
        target = self.admin.getBuildTarget(env('TARGET'))
        self.assertEqual([p['name'] for p in self.admin.getInheritanceData(tags['build_tag'])],
                         [tags['tag'], target['build_tag_name']])
        self.assertEqual({p['package_name'] for p in self.admin.listPackages(tagID=tags['tag'])},
                         {name, 'other'})
        self.assertIn('bash', [p['package'] for g in self.admin.getTagGroups(tags['build_tag'])
                               if g['name'] == 'build' for p in g['packagelist']])
        self.repositories(task_id, tags)
        if srpm:
            self.component(task_id, tags, identity, name)

    def test_requires(self):
        identity, task_id = self.identity(), self.task()
        tag = self.host.host.moduleReserve(task_id, identity)['tag']
        content = 'live-content-%s' % identity['version']
        self.admin.createTag(content)
        build = self.required(self.identity(stream='b'), content)
        self.refused('is no module tagged in', self.host.host.moduleTags, task_id, {'requires': [build]})
        self.assertIsNone(self.admin.getTag(tag + '-build'))
        target = self.admin.getBuildTarget(env('TARGET'))
        self.admin.tagBuildBypass(target['dest_tag'], build)
        tags = self.host.host.moduleTags(task_id, {'requires': [build]})
        links = self.admin.getInheritanceData(tags['build_tag'])
        self.assertEqual([(p['name'], p['noconfig']) for p in links],
                         [(tag, True), (content, True), (target['build_tag_name'], False)])

    def repositories(self, task_id, tags):
        forced = [self.other.repo.request(tags[tag], force=True)['request']['id'] 
                  for tag in ('tag', 'build_tag')]
        for tag in (tags['tag'], tags['build_tag']):
            self.refused('alone', self.host.host.repoInit, tag)
            self.refused('alone', self.other_host.host.repoInit, tag, task_id)
            other = self.admin.makeTask('newRepo', [tag], channel='createrepo')
            self.assertIn('made by the module build of task', self.wait(other, 'FAILED'))
        child = self.host.host.subtask('newRepo', [tags['tag']], task_id, channel='createrepo',
                                       label='repo:wrong')
        self.assertIn('alone', self.wait(child, 'FAILED'))
        child = self.host.host.subtask('newRepo', [tags['build_tag']], task_id, channel='createrepo',
                                       label='repo:1')
        type(self).repo_id = self.wait(child)[0]
        self.assertEqual(self.admin.repoInfo(self.repo_id)['tag_name'], tags['build_tag'])
        self.assertTrue(self.host.host.repoInit(tags['tag'], task_id))
        for request in forced:
            self.assertIsNone(self.admin.repo.checkRequest(request)['repo'])
        self.refused('alone', lambda: self.other.distRepo(tags['tag'], [], arch=tags['arches']))

    def component(self, task_id, tags, identity, name):
        folder = 'cli-build/live-%s' % identity['version']
        self.user.uploadWrapper(env('SRPM'), folder)
        source = '%s/%s' % (folder, os.path.basename(env('SRPM')))
        opts = {'repo_id': self.repo_id}
        stranger = self.user.build(source, None, opts)
        self.assertIn('policy violation', self.wait(stranger, 'FAILED'))
        child = self.host.host.subtask('build', [source, None, opts], task_id, channel='default',
                                       label='build:' + name)
        self.wait(child)
        nvr = self.admin.listBuilds(taskID=child)[0]['nvr']
        self.assertIn('.module+f99+1+' + identity['version'], nvr)
        elsewhere = self.task()
        self.host.host.moduleReserve(elsewhere, self.identity())
        self.host.host.moduleTags(elsewhere, {'packages': [name]})
        self.refused('was not built for', self.host.host.moduleTagBuild, elsewhere, nvr)
        got = self.host.host.moduleTagBuild(task_id, nvr)
        self.assertEqual(self.host.host.moduleTagBuild(task_id, nvr), got)
        self.assertEqual([b['nvr'] for b in self.admin.listTagged(tags['tag'])], [nvr])
        # what somebody else has registered beforehand
        squatted = self.required(self.identity(stream='squatted', name=name), tags['tag'])
        self.refused('was not built for', self.host.host.moduleTagBuild, task_id, squatted)
        # nobody without rights, over any road
        self.refused('permission', self.user.untagBuild, tags['tag'], nvr)
        for call, args in ((self.user.tagBuild, (tags['build_tag'], nvr)),
                           (self.user.untagBuildBypass, (tags['tag'], nvr)),
                           (self.user.tagBuildBypass, (tags['build_tag'], nvr)),
                           (self.user.packageListBlock, (tags['tag'], name)),
                           (self.user.packageListAdd, (tags['tag'], 'bash', 'packager')),
                           (self.user.packageListRemove, (tags['tag'], name)),
                           (self.user.setInheritanceData, (tags['build_tag'], [])),
                           (self.user.groupPackageListAdd, (tags['build_tag'], 'build', 'evil')),
                           (self.user.deleteTag, (tags['tag'],)),
                           (self.user.repoExpire, (self.repo_id,)),
                           (self.user.editTag2, (tags['tag'],))):
            with self.assertRaises(koji.GenericError, msg=str(call)):
                call(*args)
        self.admin.editTag2(tags['tag'], perm_id=None)  # as if Koji's own lock were off
        self.refused('belongs to the module build', self.user.untagBuild, tags['tag'], nvr)
        self.assertEqual([b['nvr'] for b in self.admin.listTagged(tags['tag'])], [nvr])
        self.fail_task(task_id)
        self.refused('belongs to the module build', self.user.untagBuild, tags['tag'], nvr)
        # what a failed task has built, the one that resumes it adopts
        again = self.task({'resume': task_id})
        self.host.host.moduleReserve(again, identity)
        self.assertEqual(self.host.host.moduleTagBuild(again, nvr), got)
        self.admin.untagBuild(tags['tag'], nvr)
        self.assertEqual(self.host.host.moduleTagBuild(again, nvr), got)


if __name__ == '__main__':
    unittest.main(verbosity=2)
