"""Hub plugin: module builds as tasks of Koji (1.35 and later).

    moduleBuild(source, target, opts)          schedules a module build, returns the task's id
    host.moduleReserve(task_id, identity, pin) claims name, stream, version and context
    host.moduleTags(task_id, plan)             makes the module's tag and its build tag
    host.moduleTagBuild(task_id, build)        puts a component's build into the module's tag
    host.moduleRepo(task_id)                   begins the module's repository
    host.moduleFinish(task_id, finish)         repository ready, build imported and tagged, or nothing
    moduleStatus()                             what is wrong here, and what is left over
    modulePrune(days, dry_run)                 deletes tags that nobody needs any more

The host calls are for the builder that holds the task; the work itself is done there. Each can be
repeated, and then answers as before, because a builder's task starts over after a restart.

A module's tags carry the id of their task in the extra key module.task. What carries a mark is
that task's alone: nobody else tags, untags or makes repositories there, users with the permission
"admin" or "tag" excepted. When a task ends without its build, callbacks end the reservation and
delete the tags of a scratch build.

The module's build goes into the target's destination by the rights of the task's owner: Koji's
policies tag and cg_import, the tag's lock, permission and package list are asked when the module is
reserved, and again at its end.

/etc/koji-hub/plugins/module_build.conf, all of it optional:

    [module_build]
    # where moduleBuild tasks go; without it the policy "channel" decides alone
    channel = module
    # who the build records say has made them
    content_generator = module-builder

hub.conf, section [policy]. Without a policy module_build only administrators build modules. Its
data are user_id, method, source, target, tag (the target's destination), scratch; once these are
known also package, version, release, and module_stream, module_version, module_context: a rule with
the test package begins with "has package &&", since that test fails without one. Two tests come
with this plugin: module_component (a task that a module's own task started, in that module's
build tag) and module_tag (the build happens in, or is meant for, a tag of a module).

    module_build =
        has package && package kernel :: deny Not as a module
        has_perm admin module-build :: allow
        all :: deny
    build_from_repo_id =
        module_component :: allow
        has_perm admin :: allow
        all :: deny
    build_rpm =
        module_component :: allow
        module_tag :: deny Only the module's own task builds here
        all :: allow
"""

import configparser
import contextlib
import functools
import glob
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import tempfile
from types import SimpleNamespace

# The hub goes offline for everybody when a plugin cannot be loaded (load_plugins in kojixmlrpc.py),
# so a hub that is not as expected must end in a fault for those who build modules and no more.
NEEDED = ('CG_Importer Host HostExports Task _create_tag _delete_tag _direct_pkglist_add '
          '_direct_tag_build _edit_tag _grp_pkg_add _grplist_add _writeInheritanceData assert_policy '
          'check_tag_access clear_reservation generate_token get_build get_build_target '
          'get_reservation_token get_tag get_user get_user_perms list_tags lookup_name lookup_package '
          'lookup_tag make_task new_build new_typed_build readFullInheritance readPackageList repo_info '
          'repo_init tag_first_change_event DeleteProcessor InsertProcessor QueryProcessor Savepoint '
          'UpdateProcessor')
UNUSABLE = None
try:
    import koji
    import koji.plugin
    import koji.policy
    from koji.context import context
    import kojihub.kojihub as hub
    import kojihub.db
    db = kojihub.db
    _lacking = [name for name in NEEDED.split() if not hasattr(hub, name) and not hasattr(db, name)]
    if _lacking:
        UNUSABLE = 'this Koji has no ' + ', '.join(_lacking)
except Exception as _exc:
    koji = hub = db = context = None
    UNUSABLE = 'Koji cannot be imported: %s' % _exc

VERSION_OF_CALLS = '1'
CONFIG_FILE = '/etc/koji-hub/plugins/module_build.conf'
METHODS = ('moduleBuild', 'moduleContext')
ENDED = ('CLOSED', 'FAILED', 'CANCELED')
TASK, IDENTITY, PIN, PLAN = 'module.task', 'module.identity', 'module.pin', 'module.plan'
logger = logging.getLogger('koji.plugin.module_build')


def read_config(path):
    """The settings of a file, which need not exist, and what is wrong with it or None."""
    config = {'channel': '', 'content_generator': 'module-builder'}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding='utf-8')
        given = dict(parser.items('module_build')) if parser.has_section('module_build') else {}
    except Exception as exc:
        return config, 'cannot read %s: %s' % (path, exc)
    unknown = sorted(set(given) - set(config))
    config.update(given)
    return config, '%s: unknown setting %s' % (path, ', '.join(unknown)) if unknown else None


CONFIG, _wrong = read_config(CONFIG_FILE)
UNUSABLE = UNUSABLE or _wrong
if UNUSABLE:
    logger.error('module builds are off: %s', UNUSABLE)


# What is checked without a hub. All of it raises ValueError.

NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9+._-]{0,99}')
CONTEXT = re.compile(r'[A-Za-z0-9]{1,10}(_[0-9]{1,6})?')
VERSION = re.compile(r'[1-9][0-9]{0,19}')
SCM = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://[!-~]+#[A-Za-z0-9_.][!-~]*')
UPLOAD = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_+%=,~^.-]*(/[A-Za-z0-9_][A-Za-z0-9_+%=,~^.-]*)+')
MACRO = re.compile(r'[A-Za-z_][A-Za-z0-9_]*(\([^()\s]*\))?')
FILE = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_+%=,~.-]{0,254}')
PACKAGE = re.compile(r'[A-Za-z0-9_@(/][^\s,]{0,255}')


def _match(pattern, value, what):
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError('%s cannot be %.80r' % (what, value))
    return value


def check_version(version):
    """A version as its decimal digits: XML-RPC has no unsigned 64 bits."""
    if isinstance(version, int) and not isinstance(version, bool):
        version = str(version)
    _match(VERSION, version, 'a version')
    if int(version) >= 1 << 64:
        raise ValueError('version %s does not fit in 64 bits' % version)
    return version


def check_source(source):
    """A commit (URL#REF) or an uploaded file (cli-build/DIRECTORY/FILE)."""
    if not isinstance(source, str) or len(source) > 2048:
        raise ValueError('the source must be text of at most 2048 characters')
    if not SCM.fullmatch(source) and not UPLOAD.fullmatch(source):
        raise ValueError('the source must be URL#REF or the path of an uploaded file, not %.80r' % source)
    return source


def check_opts(opts):
    """The options of moduleBuild, those left out that say nothing."""
    if opts is None:
        return {}
    if not isinstance(opts, dict):
        raise ValueError('the options must be a struct')
    good = {}
    for key, value in opts.items():
        if value is None or value is False:
            continue
        if key in ('scratch', 'keep_going', 'background'):
            if value is not True:
                raise ValueError('option %s is true or false' % key)
        elif key == 'resume':
            if not isinstance(value, int) or value is True or not 0 < value < 1 << 31:
                raise ValueError('option resume is the id of a task')
        elif key == 'version':
            value = check_version(value)
        elif key in ('name', 'stream'):
            _match(NAME, value, 'a module\'s ' + key)
        elif key == 'srpms':
            check_srpms(value)
        else:
            raise ValueError('there is no option %.40r' % key)
        good[key] = value
    return good


def check_srpms(srpms):
    """Source packages that somebody has uploaded, by the component that is built from each."""
    if not isinstance(srpms, dict) or len(srpms) > 5000:
        raise ValueError('option srpms is a struct of at most 5000 components')
    for name, path in srpms.items():
        _match(NAME, name, 'a component')
        if not isinstance(path, str) or len(path) > 1024 or not path.endswith('.src.rpm') \
                or not UPLOAD.fullmatch(path):
            raise ValueError('the source package of %s must be an uploaded .src.rpm' % name)


def check_identity(identity, scratch=False):
    """Name, stream, version and context of a module build, all text."""
    if not isinstance(identity, dict) or set(identity) != {'name', 'stream', 'version', 'context'}:
        raise ValueError('an identity has name, stream, version and context')
    _match(CONTEXT, identity['context'], 'a context')
    if '_' in identity['context'] and not scratch:
        raise ValueError('only the context of a scratch build has a number behind it')
    return {'name': _match(NAME, identity['name'], 'a module\'s name'),
            'stream': _match(NAME, identity['stream'], 'a stream'),
            'version': check_version(identity['version']), 'context': identity['context']}


def build_nvr(identity):
    """The build record of a module, as the Module Build Service names it."""
    return {'name': identity['name'], 'version': identity['stream'].replace('-', '_'),
            'release': '%(version)s.%(context)s' % identity}


def tag_name(identity, scratch_task=None):
    """The module's tag, as the Module Build Service names it; its build tag has -build behind.

    Scratch builds may repeat one identity: the id of the task sets them apart."""
    parts = [identity[k] for k in ('name', 'stream', 'version', 'context')]
    prefix, suffix = ('scrmod-', '+%d' % scratch_task) if scratch_task else ('module-', '')
    name = prefix + '-'.join(parts) + suffix
    if len(name + '-build') > 256:  # MaxNameLengthInternal of the hub
        name = prefix + hashlib.sha1('.'.join(parts).encode()).hexdigest()[:16] + suffix
    return name


def check_pin(pin):
    """What the builder wants to find again when its task starts over."""
    try:
        good = isinstance(pin or {}, dict) and len(json.dumps(pin or {}, allow_nan=False)) <= 1 << 20
    except (TypeError, ValueError, RecursionError):
        good = False
    if not good:
        raise ValueError('a pin is a struct of text, numbers and lists, 1 MiB at most')
    return pin or {}


def check_plan(plan):
    """What moduleTags makes tags from, and its checksum, which tells a repetition from a change."""
    parts = {'packages': list, 'requires': list, 'groups': dict, 'macros': dict, 'arches': list}
    if not isinstance(plan, dict) or not set(plan) <= set(parts):
        raise ValueError('a plan is a struct of ' + ', '.join(sorted(parts)))
    plan = {key: plan.get(key) or kind() for key, kind in parts.items()}
    for key, kind in parts.items():
        if not isinstance(plan[key], kind) or len(plan[key]) > 5000:
            raise ValueError('%s of the plan must be a %s of at most 5000' % (key, kind.__name__))
    for name in plan['packages']:
        _match(NAME, name, 'a package')
    for build in plan['requires']:
        if not isinstance(build, int) or isinstance(build, bool):
            raise ValueError('requires of the plan are ids of builds')
    for arch in plan['arches']:
        _match(NAME, arch, 'an architecture')
    for group, packages in plan['groups'].items():
        if group not in ('build', 'srpm-build') or not isinstance(packages, list) or len(packages) > 5000:
            raise ValueError('groups of the plan are lists for build and srpm-build')
        for name in packages:
            _match(PACKAGE, name, 'a package of group ' + group)
    for name, value in plan['macros'].items():
        # mock refuses every build for one macro without a value or with a blank in its name
        if not isinstance(value, str) or not value or len(value) > 65536:
            raise ValueError('macro %.80s needs a value of at most 65536 characters' % name)
        _match(MACRO, name, 'a macro\'s name')
    return plan, hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def check_finish(finish, arches, scratch):
    """What moduleFinish is to publish: a repository with all of its arches, a directory of the import."""
    keys = {'repo_id', 'repodata'} if scratch else {'repo_id', 'repodata', 'directory'}
    if not isinstance(finish, dict) or {k for k in finish if finish[k] is not None} != keys:
        raise ValueError('what is to be finished has ' + ', '.join(sorted(keys)))
    if not isinstance(finish['repo_id'], int) or isinstance(finish['repo_id'], bool):
        raise ValueError('repo_id is the id of a repository')
    if not scratch:
        _match(UPLOAD, finish['directory'], 'an uploaded directory')
    data = finish['repodata']
    if not isinstance(data, dict) or set(data) != set(arches):
        raise ValueError('repodata must be for ' + ', '.join(sorted(arches)))
    for arch, value in data.items():
        if not isinstance(value, (list, tuple)) or len(value) != 2 or not isinstance(value[1], list):
            raise ValueError('repodata of %s must be [directory, [files]]' % arch)
        _match(UPLOAD, value[0], 'an uploaded directory')
        check_files(value[1], 'repodata of ' + arch)
        if 'repomd.xml' not in value[1]:
            raise ValueError('repodata of %s has no repomd.xml' % arch)
    return finish


def check_files(names, what):
    """Names of files in one directory, each once."""
    if not 0 < len(names) <= 1000:
        raise ValueError('%s must be 1 to 1000 files' % what)
    for name in names:
        # host.repoDone puts what ends so beside the repodata
        if _match(FILE, name, 'a file of ' + what).endswith('pkglist'):
            raise ValueError('%s cannot have a file %s' % (what, name))
    if len(set(names)) != len(names):
        raise ValueError('%s names a file twice' % what)


def check_metadata(metadata, want):
    """A content generator's metadata, as far as Koji would import more than the module that is reserved.

    want: struct of build (fields that must be so), content_generator, and tag. Returns the files."""
    try:
        build, outputs, roots = metadata['build'], metadata['output'], metadata['buildroots']
        makers = {root['content_generator']['name'] for root in roots}
        kinds, names = {out['type'] for out in outputs}, [out['filename'] for out in outputs]
        odd = {key for out in outputs for key in ('relpath', 'subdir', 'metadata_only') if out.get(key)}
        extra, types = set(build['extra']), set(build['extra']['typeinfo'])
        tag = build['extra']['typeinfo']['module']['content_koji_tag']
        times = [build['start_time'], build['end_time']]
        source, version = build['source'], metadata['metadata_version']
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError('the metadata is not as it should be: %s: %.80s' % (type(exc).__name__, exc))
    for key, value in want['build'].items():
        if build.get(key) != value or isinstance(build.get(key), bool):
            raise ValueError('%s of the build must be %r, not %.80r' % (key, value, build.get(key)))
    if tag != want['tag']:
        raise ValueError('content_koji_tag of the module must be %s' % want['tag'])
    if version != 0 or not isinstance(source, str) or len(source) > 2048:
        raise ValueError('metadata_version must be 0, the source text')
    extra &= {'maven', 'win', 'image', 'container_koji_task_id'}
    if types != {'module'} or extra or build.get('draft'):
        raise ValueError('the build must be of type module and no other')
    if makers != {want['content_generator']}:
        raise ValueError('the content generator must be %s' % want['content_generator'])
    if not kinds <= {'file', 'log'} or odd:
        raise ValueError('a module has files and logs, without subdirectories')
    if not all(isinstance(t, (int, float)) and 0 < t < 1 << 40 for t in times):
        raise ValueError('start_time and end_time are seconds')
    check_files(names, 'the module')
    return names


# In the tag, not given to repo_init: only a repository without options of its own is the latest one, and
# kept while the tag does not change (symlink_if_latest; expire_check of kojira)
REPO_OPTS = {'src': True, 'debuginfo': True, 'separate_src': False}


# The hub's side. Functions of kojihub that begin with _ skip its checks of permissions.

def _ready():
    if UNUSABLE:
        raise koji.GenericError('module builds are off on this hub: %s' % UNUSABLE)


def _checked(check, *args):
    try:
        return check(*args)
    except ValueError as exc:
        raise koji.ParameterError(str(exc))


def _assert_policy(user_id, source, target, opts, identity=None):
    data = {'user_id': user_id, 'method': 'moduleBuild', 'source': source, 'target': target['name'],
            'tag': target['dest_tag'], 'scratch': bool(opts.get('scratch'))}
    if identity:
        nvr = build_nvr(identity)
        data.update(package=nvr['name'], version=nvr['version'], release=nvr['release'], btypes=['module'])
        data.update({'module_' + k: identity[k] for k in ('stream', 'version', 'context')})
    if context.policy.get('module_build'):
        hub.assert_policy('module_build', data)
    elif 'admin' not in hub.get_user_perms(user_id):  # Koji itself would allow everything
        raise koji.ActionNotAllowed('without a policy module_build only administrators build modules')


def _module_task(task_id, owner=None):
    """A module task with its parameters, those of the task above for a single context. None where the
    task is no module task, or not the owner's."""
    info = hub.Task(task_id).getInfo(strict=False, request=True)
    if not info or info['method'] not in METHODS or owner not in (None, info['owner']):
        return None
    request = info['request']
    if len(request) != 1 or not isinstance(request[0], dict):
        raise koji.ActionNotAllowed('task %s has no parameters of a module build' % task_id)
    task = SimpleNamespace(id=info['id'], owner=info['owner'], state=info['state'], root=info['id'],
                           given=None, params=request[0])
    if info['method'] == 'moduleContext':
        root = _module_task(info['parent'], info['owner']) if info['parent'] else None
        if not root or root.given is not None:
            raise koji.ActionNotAllowed('task %s is no part of a module build' % task_id)
        task.given = {k: request[0].get(k) for k in ('name', 'stream', 'version', 'context')}
        task.root, task.params = root.id, root.params
    # checked when the task was made; again because a host can make tasks with any parameters
    task.source = _checked(check_source, task.params.get('source'))
    task.opts = _checked(check_opts, task.params.get('opts'))
    task.scratch = bool(task.opts.get('scratch'))
    return task


def _held(task_id):
    """The module task, which must be open and held by the very host that calls."""
    _ready()
    host = hub.Host()
    host.verify()
    hub.Task(task_id).assertHost(host.id)  # also locks the task's row: calls for one task take turns
    task = _module_task(task_id)
    if not task:
        raise koji.ActionNotAllowed('task %s is no module build' % task_id)
    if task.root != task.id and hub.Task(task.root).isFinished():
        raise koji.ActionNotAllowed('the module build %s above task %s has ended' % (task.root, task.id))
    task.target = hub.get_build_target(task.params.get('target'), strict=True)
    task.chain = [task.root]  # this build and those it resumes, back to the first
    resume = task.opts.get('resume')
    while resume and resume not in task.chain:
        before = _module_task(resume, task.owner)
        if not before or before.root != resume:
            break
        task.chain.append(resume)
        resume = before.opts.get('resume')
    return task


def _of_chain(task, task_id):
    """Whether a task is this module build or one that it resumes."""
    other = _module_task(task_id, task.owner) if isinstance(task_id, int) else None
    return bool(other) and other.root in task.chain


def _reservation(task):
    """The tag that moduleReserve has made for the task, or None. The tag of a scratch build is found after
    its end too, and then has a query_event."""
    rows = _marked(task.id, task.scratch)
    for (tag_id,) in rows:
        tag = hub.get_tag(tag_id) or (hub.get_tag(tag_id, event='auto') if task.scratch else None)
        if tag and IDENTITY in tag['extra']:
            return tag
    return None


def _marked(task_id, deleted=False):
    """The ids of the tags with the mark of a task, newest first."""
    clauses = ['key = %(key)s', 'value = %(value)s'] + ([] if deleted else ['active IS TRUE'])
    return db.QueryProcessor(tables=['tag_extra'], columns=['tag_id'], clauses=clauses,
                             values={'key': TASK, 'value': json.dumps(task_id)},
                             opts={'asList': True, 'order': '-tag_id'}).execute()


def _answer(task, tag):
    identity = tag['extra'][IDENTITY]
    nvr = build_nvr(identity)
    build = None if task.scratch else hub.get_build(nvr, strict=True)
    if build and not (build['state'] == koji.BUILD_STATES['COMPLETE'] and _of_chain(task, build['task_id'])
                      or build['state'] == koji.BUILD_STATES['BUILDING'] and build['task_id'] == task.id):
        raise koji.ActionNotAllowed('build %s is no longer reserved by task %s' % (build['nvr'], task.id))
    return {'identity': identity, 'nvr': '%(name)s-%(version)s-%(release)s' % nvr,
            'pin': tag['extra'].get(PIN), 'build_id': build and build['id'],
            'tag': tag['name'], 'tag_id': tag['id'], 'first_task': task.chain[-1],
            'finished': _finished(task, tag, build)}


def _finished(task, tag, build):
    """What moduleFinish has answered, or None. It leaves no mark: a change of the tag would make Koji
    expire the repository."""
    if build and build['state'] != koji.BUILD_STATES['COMPLETE']:
        return None
    repos = [repo for repo in _repos(tag['id'], build['task_id'] if build else task.id)
             if repo['state'] not in (koji.REPO_INIT, koji.REPO_PROBLEM)]
    if not build and not repos:
        if 'query_event' in tag:
            raise koji.GenericError('the tag %s has been deleted' % tag['name'])
        return None
    return {'build_id': build and build['id'], 'nvr': '%(name)s-%(version)s-%(release)s' % build_nvr(
                tag['extra'][IDENTITY]), 'tag': tag['name'], 'repo_id': repos[0]['id'] if repos else None,
            'dest_tag': None if task.scratch else task.target['dest_tag_name']}


def _repos(tag_id, task_id):
    """The repositories of a tag that a task has made, newest first."""
    return db.QueryProcessor(tables=['repo'], columns=['id', 'create_event', 'state'],
                             clauses=['tag_id = %(tag)i', 'task_id = %(task)i', 'dist IS NOT TRUE'],
                             values={'tag': tag_id, 'task': task_id}, opts={'order': '-id'}).execute()


def _unfinished(task):
    """The task's tag, which can still be changed."""
    tag = _reservation(task)
    if not tag:
        raise koji.ActionNotAllowed('task %s has reserved no module' % task.id)
    if _answer(task, tag)['finished']:
        raise koji.ActionNotAllowed('%s is finished' % tag['name'])
    return tag


def moduleBuild(source, target, opts=None):
    """Schedule a module build and return the task's id.

    source: URL#REF of a repository with the module's document, or the path of an uploaded one.
    target: name of a build target: its build tag is the platform, its destination takes the build.
    opts: scratch, keep_going, background (bool); version; name, stream; srpms, a struct of components
    and the uploaded source packages that they are built from; resume, the id of a module task of the
    same user, source and target that failed or was cancelled."""
    _ready()
    context.session.assertLogin()
    source, opts = _checked(check_source, source), _checked(check_opts, opts)
    if not isinstance(target, str) or len(target) > 256:
        raise koji.ParameterError('the target must be a name')
    user_id, target = context.session.user_id, hub.get_build_target(target, strict=True)
    _assert_policy(user_id, source, target, opts)
    if 'resume' in opts:
        before = _module_task(opts['resume'], user_id)
        if not before or before.root != before.id:
            raise koji.ActionNotAllowed('task %(resume)s is no module build of yours' % opts)
        if koji.TASK_STATES[before.state] not in ('FAILED', 'CANCELED'):
            raise koji.ActionNotAllowed('task %(resume)s has neither failed nor been cancelled' % opts)
        if (before.source, before.params.get('target'), before.scratch) != (
                source, target['name'], bool(opts.get('scratch'))):
            raise koji.ActionNotAllowed('task %(resume)s built another source, target or kind' % opts)
    make = {'channel': CONFIG['channel']} if CONFIG['channel'] else {}
    if opts.get('background'):
        make['priority'] = koji.PRIO_DEFAULT + 5  # as the command line does for other builds
    # One struct with names: koji-web shows it, and policies see the target, without LEGACY_SIGNATURES
    params = {'__method__': 'moduleBuild', 'source': source, 'target': target['name'], 'opts': opts}
    return hub.make_task('moduleBuild', [params], **make)


def moduleReserve(task_id, identity=None, pin=None):
    """Claim an identity for the task: its tag and, but for scratch builds, its build record.

    identity: struct of name, stream, version, context; a moduleContext task has it in its request.
    pin: struct kept with the reservation and handed back (commits, times), at most 1 MiB of JSON.
    Without an identity: the reservation that the task has, or that of the task that it resumes, which
    becomes its own with its pin (a scratch build gets a tag of its own), or None. An identity that any
    build or tag has or had is refused with BuildError (1005): take the next version. Returns
    {identity, nvr, build_id, tag, tag_id, pin, first_task, finished}; finished is None or what
    moduleFinish has answered, to the task resumed too."""
    task = _held(task_id)
    tag = _reservation(task)
    if not tag and identity is None:
        identity, pin = (task.given, pin) if task.given else _resumed(task)
    if identity is not None:
        identity = _wanted(task, identity)
    if tag:
        if identity not in (None, tag['extra'][IDENTITY]):
            raise koji.ActionNotAllowed('task %s has reserved %s' % (task.id, tag['name']))
        return _answer(task, tag)
    if identity is None:
        return None
    pin = _checked(check_pin, pin)
    _assert_policy(task.owner, task.source, task.target, task.opts, identity)
    # reservations of one module take turns
    _lock_package(_named('package', identity['name'])['id'])
    nvr = build_nvr(identity)
    name = tag_name(identity, task.id if task.scratch else None)
    tag, build = hub.get_tag(name), None if task.scratch else hub.get_build(nvr)
    resumes = bool(tag) and tag['extra'].get(IDENTITY) == identity and _of_chain(task, tag['extra'].get(TASK))
    complete = bool(build) and build['state'] == koji.BUILD_STATES['COMPLETE']
    if resumes and not complete and not hub.Task(tag['extra'][TASK]).isFinished():
        raise koji.ActionNotAllowed('%s is being built by task %s' % (name, tag['extra'][TASK]))
    if not resumes and hub.lookup_tag(name, strict=False):  # finds deleted tags too
        raise koji.BuildError('%s: there is, or was, a tag of that name' % name)
    if build and not (resumes and _of_chain(task, build['task_id'])):
        raise koji.BuildError('%(nvr)s: there is a build of that name, of task %(task_id)s' % build)
    if complete:
        return _answer(task, tag)  # the task resumed has finished it; its repository needs the tag as it is
    if resumes:
        _refund_build(tag['extra'][TASK])  # it has ended; end_reservation may have failed
        for each in (tag, hub.get_tag(name + '-build')):
            if each and each['extra'].get(TASK) == tag['extra'][TASK]:
                hub._edit_tag(each['id'], extra={TASK: task.id})
    else:
        # perm: as the Module Build Service, and still a lock where this plugin is gone one day
        hub._create_tag(name, perm='admin', extra={TASK: task.id, IDENTITY: identity, PIN: pin})
    if not task.scratch:
        _reserve_build(task, dict(nvr), identity, name)
    return _answer(task, hub.get_tag(name, strict=True))


def _named(table, name):
    """The row of a name, made where there is none. Two contexts of a new module come at the same moment,
    and one of them must wait and then find what the other has made."""
    found = hub.lookup_name(table, name)
    if not found:
        savepoint = db.Savepoint('module_build_name')
        try:
            found = hub.lookup_name(table, name, create=True)
        except Exception:
            savepoint.rollback()
            found = hub.lookup_name(table, name, strict=True)
    return found


def _lock_package(package_id):
    db.QueryProcessor(tables=['package'], columns=['id'], clauses=['id = %(id)i'], values={'id': package_id},
                      opts={'rowlock': True}).execute()


def _resumed(task):
    """Identity and pin of what the task resumes; None where that has reserved nothing of its own."""
    for task_id in task.chain[1:]:
        tag = _reservation(_module_task(task_id, task.owner))
        if tag and all(task.opts.get(k, tag['extra'][IDENTITY][k]) == tag['extra'][IDENTITY][k]
                       for k in ('name', 'stream', 'version')):
            return tag['extra'][IDENTITY], tag['extra'].get(PIN)
    return None, None


def _wanted(task, identity):
    """An identity that the task may reserve."""
    identity = _checked(check_identity, identity, task.scratch)
    if task.given and identity != _checked(check_identity, task.given, task.scratch):
        raise koji.ActionNotAllowed('task %s builds another context' % task.id)
    for key in ('name', 'stream', 'version'):
        if task.opts.get(key, identity[key]) != identity[key]:
            raise koji.ActionNotAllowed('task %s was asked to build %s %s' % (task.id, key, task.opts[key]))
    return identity


def _reserve_build(task, data, identity, tag):
    """CGInitBuild for the task (cg_init_build): the token stays here, since a builder that starts over
    has lost it. With its task_id a cancelled task takes the build record along (Task.cancel)."""
    cg = _named('content_generator', CONFIG['content_generator'])
    if not hub.lookup_name('btype', 'module'):
        raise koji.GenericError('this hub has no build type module: koji call addBType module')
    data.update(epoch=None, owner=task.owner, task_id=task.id, source=task.source, cg_id=cg['id'],
                state=koji.BUILD_STATES['BUILDING'], completion_time=None,
                extra={'typeinfo': {'module': dict(identity, content_koji_tag=tag)}})
    koji.check_NVR(data, strict=True)
    build_id = hub.new_build(data)
    hub.new_typed_build({'id': build_id}, 'module')
    hub.clear_reservation(build_id)
    insert = db.InsertProcessor('build_reservations')
    insert.set(build_id=build_id, token=hub.generate_token())
    insert.rawset(created='NOW()')
    insert.execute()
    dest, package = task.target['dest_tag'], hub.lookup_package(data['name'], strict=True)['id']
    if package not in hub.readPackageList(tagID=dest, pkgID=package, inherit=True):
        hub._direct_pkglist_add(dest, package, task.owner, False, None, False, False)
    # what would refuse the finished module refuses it before hours of building
    _assert_import(task, data, cg['id'])
    _destination(task, hub.get_build(build_id, strict=True))


def _assert_import(task, build, cg_id, metadata_only=False):
    """Koji's policy for imports (CG_Importer.assert_policy), for the owner of the task."""
    data = {key: build[key] for key in ('version', 'release', 'source')}
    data.update(package=build['name'], btypes=['module'], draft=False, metadata_only=metadata_only,
                cg_list=[cg_id], user_id=task.owner)
    hub.assert_policy('cg_import', data)


def _destination(task, build):
    """The target's destination, where the owner of the task may tag the module (HostExports.tagBuild)."""
    dest, package = hub.get_tag(task.target['dest_tag'], strict=True), build['package_id']
    allowed, _, reason = hub.check_tag_access(dest['id'], task.owner)
    if not allowed:
        raise koji.ActionNotAllowed('%s cannot be tagged in %s: %s' % (build['nvr'], dest['name'], reason))
    hub.assert_policy('tag', {'tag': dest['name'], 'build': build, 'fromtag': None, 'operation': 'tag',
                              'user_id': task.owner})
    listed = hub.readPackageList(tagID=dest['id'], pkgID=package, inherit=True)
    if package not in listed or listed[package]['blocked']:
        raise koji.TagError('%s is blocked in %s, or not in its package list' % (build['name'], dest['name']))
    return dest


@contextlib.contextmanager
def _allowed(task_id):
    """While it lasts, this request may change what carries the task's mark."""
    context.module_build_task = task_id
    try:
        yield
    finally:
        context.module_build_task = None


def moduleTags(task_id, plan):
    """Make the tags of the task's module ready for its components.

    plan: struct of packages (names of components), requires (ids of the builds of required modules,
    in the order of inheritance), groups (for build and srpm-build), macros, arches (those of the platform
    where empty). The macros are there before the build tag's first repository is. Asked again with
    the same plan it changes nothing; with another plan it refuses. Returns {tag, tag_id, build_tag,
    build_tag_id, arches}."""
    task = _held(task_id)
    plan, checksum = _checked(check_plan, plan)
    tag = _reservation(task)
    if not tag:
        raise koji.ActionNotAllowed('task %s has reserved no module' % task.id)
    name = tag['name'] + '-build'
    build_tag = hub.get_tag(name)
    if build_tag:
        if build_tag['extra'].get(TASK) != task.id:
            raise koji.ActionNotAllowed('%s is no tag of task %s' % (name, task.id))
        if build_tag['extra'].get(PLAN) != checksum:
            raise koji.ActionNotAllowed('%s was made from another plan' % name)
    else:
        tag = _unfinished(task)
        with _allowed(task.id):
            _make_tags(task, tag, name, plan, checksum)
        tag, build_tag = hub.get_tag(tag['id'], strict=True), hub.get_tag(name, strict=True)
    return {'tag': tag['name'], 'tag_id': tag['id'], 'build_tag': name, 'build_tag_id': build_tag['id'],
            'arches': tag['arches'].split()}


def _make_tags(task, tag, name, plan, checksum):
    platform = context.handlers.call('getBuildConfig', task.target['build_tag'])  # with inherited arches
    known = (platform['arches'] or '').split()
    arches = [a for a in known if a in plan['arches']] if plan['arches'] else known
    if not arches or not set(plan['arches']) <= set(known):
        raise koji.GenericError('%s has the architectures %r, the plan %r' % (
            platform['name'], known, plan['arches']))
    # dnf hides packages of modules that are not enabled; without repo_include_all packages of the
    # same name in two modules hide each other
    extra = {'mock.package_manager': 'dnf', 'mock.yum.module_hotfixes': 1, 'repo_include_all': True}
    hub._edit_tag(tag['id'], arches=' '.join(arches),
                  extra=dict(extra, **{'repo.opts': REPO_OPTS}))
    for package in sorted(set(plan['packages'])):
        hub._direct_pkglist_add(tag['id'], package, task.owner, False, None, False, False)
    extra.update({'rpm.macro.' + macro: value for macro, value in plan['macros'].items()})
    extra.update({TASK: task.id, PLAN: checksum})
    if hub.lookup_tag(name, strict=False):
        raise koji.GenericError('%s: there was a tag of that name, take another version' % name)
    tag_id = hub._create_tag(name, perm='admin', arches=' '.join(arches), extra=extra)
    parents = [tag['id']] + [_content_tag(task, build) for build in plan['requires']] + [platform['id']]
    hub._writeInheritanceData(tag_id, [
        {'parent_id': parent, 'priority': 10 * i, 'maxdepth': None, 'intransitive': False, 'pkg_filter': '',
         # the platform alone says how packages are built
         'noconfig': parent != platform['id']} for i, parent in enumerate(dict.fromkeys(parents))])
    for group, packages in sorted(plan['groups'].items()):
        hub._grplist_add(tag_id, group, False, False)
        for package in sorted(set(packages)):
            hub._grp_pkg_add(tag_id, group, package, False, False)


def _content_tag(task, build_id):
    """The tag with the packages of a module that is tagged where the task's own module will be."""
    build = hub.get_build(build_id, strict=True)
    module = ((build['extra'] or {}).get('typeinfo') or {}).get('module') or {}
    dest = task.target['dest_tag']
    places = {dest} | {link['parent_id'] for link in hub.readFullInheritance(dest)}
    if build['state'] != koji.BUILD_STATES['COMPLETE'] or not module.get('content_koji_tag') \
            or not places & {t['id'] for t in hub.list_tags(build=build['id'])}:
        raise koji.GenericError('%s is no module tagged in %s' % (build['nvr'], task.target['dest_tag_name']))
    return hub.get_tag(module['content_koji_tag'], strict=True)['id']


def moduleTagBuild(task_id, build):
    """Put a component's build, by id or NVR, into the module's tag.

    Only what a child of this task, or of a task that it resumes, has built: an NVR can be guessed
    and built by anybody beforehand. Returns {tag, build_id}."""
    task = _held(task_id)
    tag, build = _reservation(task), hub.get_build(build, strict=True)
    if not tag:
        raise koji.ActionNotAllowed('task %s has reserved no module' % task.id)
    maker = hub.Task(build['task_id']).getInfo(strict=True) if build['task_id'] else {}
    if maker.get('method') != 'build' or maker['owner'] != task.owner or not _of_chain(task, maker['parent']):
        raise koji.ActionNotAllowed('%s was not built for the module of task %s' % (build['nvr'], task.id))
    listed = hub.readPackageList(tagID=tag['id'], pkgID=build['package_id'], inherit=True)
    if build['package_id'] not in listed or listed[build['package_id']]['blocked']:
        raise koji.TagError('%s is no component in %s' % (build['name'], tag['name']))
    if tag['id'] not in [t['id'] for t in hub.list_tags(build=build['id'])]:
        tag = _unfinished(task)
        with _allowed(task.id):
            hub._direct_tag_build(tag, build, hub.get_user(task.owner, strict=True))
    return {'tag': tag['name'], 'build_id': build['id']}


def moduleRepo(task_id):
    """Begin the module's repository, of the tag as it is now: all tagging comes before.

    Asked again it answers with the same repository, while that is in state INIT and the tag has not
    changed. Returns {repo_id, event_id, arches}; arches are the directories that moduleFinish expects."""
    task = _held(task_id)
    tag = _unfinished(task)
    if not hub.get_tag(tag['name'] + '-build'):
        raise koji.ActionNotAllowed('task %s has made no tags' % task.id)
    for repo in _repos(tag['id'], task.id):
        if repo['state'] == koji.REPO_INIT and _unchanged(tag, repo):
            repo_id, event_id = repo['id'], repo['create_event']
            break
    else:
        repo_id, event_id = hub.repo_init(tag['id'], task_id=task.id)
    return {'repo_id': repo_id, 'event_id': event_id, 'arches': _repo_arches(tag)}


def _unchanged(tag, repo):
    return hub.tag_first_change_event(tag['id'], after=repo['create_event']) is None


def _repo_arches(tag):
    """The directories of a repository of the tag, as repo_init makes them."""
    return sorted({koji.canonArch(arch) for arch in tag['arches'].split()} - {'src', 'noarch'})


def moduleFinish(task_id, finish):
    """Publish the module: the repository is ready, its build imported and tagged in the target's
    destination; for a scratch build the repository alone, and the tags are deleted. All or nothing.

    finish: struct of repo_id (moduleRepo's); repodata, {arch: [uploaded directory below work/, [files]]};
    directory, the uploaded directory with metadata.json for content generators and the files that it
    names, absent for a scratch build. What is uploaded is copied, so that the call can be repeated with
    it. Returns {build_id, nvr, tag, repo_id, dest_tag}; asked again the same."""
    task = _held(task_id)  # holds the task's row to the end: a cancellation waits (guard_cancel)
    tag = _reservation(task)
    if not tag:
        raise koji.ActionNotAllowed('task %s has reserved no module' % task.id)
    answer = _answer(task, tag)
    if answer['finished']:
        return answer['finished']
    finish = _checked(check_finish, finish, _repo_arches(tag), task.scratch)
    repo = hub.repo_info(finish['repo_id'], strict=True)
    if repo['tag_id'] != tag['id'] or repo['task_id'] != task.id or repo['dist']:
        raise koji.ActionNotAllowed('repository %s was not made by task %s for %s' % (
            repo['id'], task.id, tag['name']))
    if repo['state'] != koji.REPO_INIT or not _unchanged(tag, repo):
        raise koji.GenericError('repository %s is not in state INIT, or older than the last change of %s: '
                                'make another' % (repo['id'], tag['name']))
    importer, stage = None, _stage(task.id)
    try:
        with _allowed(task.id):
            if not task.scratch:
                importer = _importer(task, answer, finish['directory'], stage)
                importer.run()
                build = hub.get_build(answer['build_id'], strict=True)
                hub._direct_tag_build(_destination(task, build), build, hub.get_user(task.owner, strict=True))
            _repo_done(repo, finish['repodata'], stage)
            if task.scratch:
                _delete_tags(task.id)
    except Exception:
        if importer:
            importer.check_build_dir(delete=True)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    for left in glob.glob('%s/%d-*' % (os.path.dirname(stage), task.id)):
        shutil.rmtree(left, ignore_errors=True)
    return _answer(task, tag)['finished']


def _stage(task_id):
    """A directory below work/ for one attempt: what a killed hub did not delete is in no other's way."""
    base = os.path.join(koji.pathinfo.work(), 'module-build')
    os.makedirs(base, exist_ok=True)
    return tempfile.mkdtemp(prefix='%d-' % task_id, dir=base)


def _repo_done(repo, repodata, stage):
    """host.repoDone of copies, and with what an attempt that was rolled back has left out of the way."""
    data = {}
    for arch, (directory, files) in repodata.items():
        done = os.path.join(koji.pathinfo.repo(repo['id'], repo['tag_name']), arch, 'repodata')
        if os.path.isdir(done):
            shutil.rmtree(done)
        data[arch] = [_staged(directory, files, os.path.join(stage, 'repodata', arch)), files]
    hub.HostExports().repoDone(repo['id'], data)


def _staged(directory, files, stage):
    """Copies of uploaded files, as a path below work/: what Koji imports it moves, which can be done once."""
    work = koji.pathinfo.work()
    source = os.path.join(os.path.realpath(work), directory)
    if os.path.realpath(source) != source or not os.path.isdir(source):
        raise koji.GenericError('there is no uploaded directory %s' % directory)
    os.makedirs(stage)
    for name in files:
        path = os.path.join(source, name)
        if not os.path.lexists(path) or not stat.S_ISREG(os.lstat(path).st_mode):
            raise koji.GenericError('there is no uploaded file %s/%s' % (directory, name))
        shutil.copyfile(path, os.path.join(stage, name))
    return os.path.relpath(stage, work)


def _importer(task, reserved, directory, stage):
    """Imports the module's build: a CG_Importer whose right is the reservation, not a user's access to a
    content generator."""
    build = hub.get_build(reserved['build_id'], strict=True)
    maker = hub.lookup_name('content_generator', build['cg_id'], strict=True)
    owner = hub.get_user(task.owner, strict=True)
    want = {'name': build['name'], 'version': build['version'], 'release': build['release'],
            'build_id': build['id'], 'task_id': task.id}
    metadata = _read_metadata(_staged(directory, ['metadata.json'], os.path.join(stage, 'metadata')))
    names = _checked(check_metadata, metadata, {'build': want, 'content_generator': maker['name'],
                                                'tag': reserved['tag']})
    metadata['build']['owner'] = owner['name']

    class Importer(hub.CG_Importer):

        def run(self):
            token = hub.get_reservation_token(build['id'])
            if not token:
                raise koji.ActionNotAllowed('build %s is no longer reserved' % build['nvr'])
            files = _staged(directory, names, os.path.join(stage, 'import'))
            self.do_import(metadata, files, token['token'])

        def assert_cg_access(self):
            self.cg = maker['id']
            for root in self.metadata['buildroots']:
                root['cg_id'] = self.cg

        def assert_policy(self):
            _assert_import(task, self.buildinfo, self.cg, self.metadata_only)

        def check_build_dir(self, delete=False):
            # The build is this task's and not complete: what lies there, an attempt that was rolled back
            # has left. After a failure (delete) it may be another attempt's already, where the lock on
            # the task's row has gone with the connection to the database.
            if self.buildinfo and not (delete and _connection_lost()):
                path = koji.pathinfo.build(self.buildinfo)
                if os.path.islink(path):
                    os.unlink(path)
                elif os.path.isdir(path):
                    shutil.rmtree(path)

    return Importer()


def _connection_lost():
    """Whether the request's transaction can do no more."""
    try:
        db.QueryProcessor(tables=['btype'], columns=['id'], opts={'limit': 1}).execute()
    except Exception:
        return True
    return False


def _read_metadata(directory):
    path = os.path.join(koji.pathinfo.work(), directory, 'metadata.json')
    if os.path.getsize(path) > 64 << 20:
        raise koji.ParameterError('metadata.json has more than 64 MiB')
    try:
        with open(path, encoding='utf-8') as lines:
            return json.load(lines)
    except (ValueError, RecursionError) as exc:
        raise koji.ParameterError('metadata.json cannot be read: %s' % exc)


def _delete_tags(task_id):
    """Delete the tags with the mark of a task, the build tag first."""
    tags = [tag for tag in (hub.get_tag(tag_id) for (tag_id,) in _marked(task_id)) if tag]
    for tag in sorted(tags, key=lambda tag: IDENTITY in tag['extra']):
        hub._delete_tag(tag['id'])


# For administrators.

def moduleStatus():
    """What an administrator wants to know: {version, problems, channel, content_generator, leftovers:
    {tags: of tasks that ended without a build, reservations: builds of tasks that have ended}}."""
    answer = dict(CONFIG, version=VERSION_OF_CALLS, problems=[UNUSABLE] if UNUSABLE else [],
                  leftovers={'tags': [], 'reservations': []})
    if _lacking:
        return answer
    problems = answer['problems']
    if not hub.lookup_name('btype', 'module'):
        problems.append('there is no build type module: koji call addBType module')
    if not context.policy.get('module_build'):
        problems.append('there is no policy module_build: only administrators build modules')
    if CONFIG['channel'] and not hub.lookup_name('channels', CONFIG['channel']):
        problems.append('there is no channel %s' % CONFIG['channel'])
    for policy, what in (('build_from_repo_id', 'all components'), ('build_from_srpm', 'source packages')):
        rules = context.policy.get(policy)
        if not _asks(rules.ruleset if rules else [], 'module_component'):
            problems.append('the policy %s never asks module_component: where it does not allow everything, '
                            '%s of users who are not administrators are refused' % (policy, what))
    answer['leftovers']['tags'] = [row['tag'] for row in _of_ended_tasks(['build.id IS NULL'])]
    rows = db.QueryProcessor(
        tables=['build'], columns=['build.id'], aliases=['id'], joins=['task ON task.id = build.task_id'],
        clauses=['build.state = %(building)i', 'task.method IN %(methods)s', 'task.state IN %(ended)s'],
        values=dict(_ended(), building=koji.BUILD_STATES['BUILDING']), opts={'limit': 1000}).execute()
    answer['leftovers']['reservations'] = [hub.get_build(row['id'], strict=True)['nvr'] for row in rows]
    return answer


def _asks(rules, name):
    """Whether a policy (koji.policy.SimpleRuleSet.ruleset) has a test of that name."""
    return any(test.name == name for tests, _, _ in rules for test in tests) or \
        any(_asks(action, name) for _, _, action in rules if isinstance(action, list))


def _ended():
    return {'methods': METHODS, 'ended': tuple(koji.TASK_STATES[state] for state in ENDED)}


def _of_ended_tasks(clauses, days=0):
    """The tags of tasks that ended days ago, at most 1000, oldest first: {tag, tag_id, task_id, ended,
    build, identity}; build is the id of the task's complete build, identity None for a build tag."""
    joins = ['tag ON tag.id = mark.tag_id',
             'tag_config ON tag_config.tag_id = tag.id AND tag_config.active IS TRUE',
             # what is no number was not set by this plugin
             "task ON task.id = CASE WHEN mark.value ~ '^[0-9]{1,9}$' THEN mark.value::integer END",
             'LEFT JOIN build ON build.task_id = task.id AND build.state = %(complete)i',
             'LEFT JOIN tag_extra AS own ON own.tag_id = tag.id AND own.key = %(identity)s '
             'AND own.active IS TRUE']
    names = {'tag': 'tag.name', 'tag_id': 'tag.id', 'task_id': 'task.id', 'build': 'build.id',
             'identity': 'own.value', 'ended': "date_part('epoch', task.completion_time)"}
    return db.QueryProcessor(
        tables=['tag_extra AS mark'], joins=joins, columns=list(names.values()), aliases=list(names),
        clauses=clauses + ['mark.key = %(key)s', 'mark.active IS TRUE', 'task.method IN %(methods)s',
                           'task.state IN %(ended)s', "task.completion_time < NOW() - %(age)s::interval"],
        values=dict(_ended(), key=TASK, identity=IDENTITY, complete=koji.BUILD_STATES['COMPLETE'],
                    age='%d days' % days), opts={'order': 'task_id,tag_id', 'limit': 1000}).execute()


def modulePrune(days=30, dry_run=True):
    """Delete tags that nobody needs any more: the build tags of modules, and both tags of builds that
    have failed, whose task ended more than days ago. The tags of finished modules stay.

    For the permissions admin and tag. At most 1000 tags in one call. Returns a list of {tag, task_id,
    ended (seconds), build (id of the module's build or None)}, what would be deleted with dry_run."""
    _ready()
    if not context.session.hasPerm('tag') and not context.session.hasPerm('admin'):
        raise koji.ActionNotAllowed('pruning module tags needs the permission tag')
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= 36500:
        raise koji.ParameterError('days is a number from 0 to 36500')
    if not isinstance(dry_run, bool):
        raise koji.ParameterError('dry_run is true or false')
    rows = _of_ended_tasks(['build.id IS NULL OR own.value IS NULL'], days)
    # build tags first, since the others are their parents
    rows.sort(key=lambda row: (row['identity'] is not None, row['tag_id']))
    pruned = []
    for row in rows:
        if dry_run or _prune(row):
            pruned.append({key: row[key] for key in ('tag', 'task_id', 'ended', 'build')})
    return pruned


def _prune(row):
    """Delete a tag unless another task has taken it over meanwhile."""
    content = hub.get_tag(row['tag'] if row['identity'] else row['tag'][:-len('-build')])
    if content and IDENTITY in content['extra']:
        _lock_package(hub.lookup_package(content['extra'][IDENTITY]['name'], strict=True)['id'])
    tag = hub.get_tag(row['tag_id'])
    if not tag or tag['extra'].get(TASK) != row['task_id']:
        return False
    hub._delete_tag(tag['id'])
    return True


# Callbacks. What a guard raises refuses the change (run_callbacks in koji/plugin.py).

def _guard(check):
    """A guard refuses with Koji's own faults; any other exception of it must not stop a whole hub."""
    @functools.wraps(check)
    def guard(cbtype, *args, **kws):
        try:
            check(**kws)
        except koji.GenericError:
            raise
        except Exception:
            logger.exception('%s cannot tell whether a change is allowed', check.__name__)
    return guard


def _mark(tag):
    """The id of the task that a tag belongs to, or None. Event or not, the tag of today counts."""
    return ((hub.get_tag(tag['id']) or tag).get('extra') or {}).get(TASK)


@_guard
def guard_content(tag, user=None, **kws):
    """Only the module's task, through the calls above, changes what a module's tags hold."""
    mark = _mark(tag)
    if mark is None or getattr(context, 'module_build_task', None) == mark:
        return
    user = user or {}
    if not {'admin', 'tag'} & set(hub.get_user_perms(user['id']) if user.get('id') else ()):
        raise koji.ActionNotAllowed('%s belongs to the module build of task %s' % (tag['name'], mark))


@_guard
def guard_repo(tag, task_id=None, **kws):
    """Only the module's task makes repositories: another would have the module's packages without its
    metadata. Those of a build tag may also be made by the task's newRepo children."""
    mark = _mark(tag)
    if mark is None:
        return
    if kws.get('dist'):  # elsewhere than the tag's own repositories; the same right as Koji asks
        if context.session.hasPerm('dist-repo') or context.session.hasPerm('admin'):
            return
    elif task_id is not None:
        # repo_init takes any task's id: the calling host must hold it
        info = hub.Task(task_id).getInfo(strict=True)
        if hub.Task(task_id).verifyHost() and (
                task_id == mark or info['parent'] == mark and IDENTITY not in tag['extra']):
            return
    raise koji.ActionNotAllowed('repositories of %s are made by the module build of task %s alone' % (
        tag['name'], mark))


@_guard
def guard_repo_done(repo, **kws):
    """A module's repository becomes ready in moduleFinish alone, with all else."""
    tag = None if repo['dist'] else hub.get_tag(repo['tag_id'])
    if tag and TASK in tag['extra'] and IDENTITY in tag['extra'] \
            and getattr(context, 'module_build_task', None) != tag['extra'][TASK]:
        raise koji.ActionNotAllowed('repositories of %s are made ready by moduleFinish' % tag['name'])


@_guard
def guard_cancel(info=None, attribute=None, new=None, **kws):
    """What is published stays published: in the moment between that and its own end a task cannot be
    cancelled any more."""
    if attribute == 'state' and new == 'CANCELED' and info and info.get('method') in METHODS \
            and _ending(info['id']):
        raise koji.GenericError('task %s has published its module and ends in a moment: it is too late to '
                                'cancel it' % info['id'])


def _ending(task_id):
    """Whether a task that still runs has published what it builds."""
    # moduleFinish holds this row until it is done
    state = db.QueryProcessor(tables=['task'], columns=['state'], clauses=['id = %(task)i'],
                              values={'task': task_id}, opts={'rowlock': True}).singleValue()
    if state != koji.TASK_STATES['OPEN']:
        return False
    return bool(db.QueryProcessor(tables=['repo'], columns=['id'], opts={'asList': True},
                                  clauses=['task_id = %(task)i', 'state = %(ready)i'],
                                  values={'task': task_id, 'ready': koji.REPO_READY}).execute())


def end_reservation(cbtype, *args, **kws):
    """A task that ends without its build gives back the build record, for the next attempt, and the tags
    of a scratch build. Never in the way of the task's own end."""
    info, state = kws.get('info') or {}, kws.get('new')
    if kws.get('attribute') != 'state' or state not in ENDED or info.get('method') not in METHODS:
        return
    savepoint = db.Savepoint('module_build_end')
    try:
        task = _module_task(info['id'])
        if task.scratch:
            _delete_tags(task.id)
        elif state != 'CANCELED':  # Koji itself cancels the build (Task.cancel), and the children
            _refund_build(task.id)
        if state == 'FAILED':
            _cancel_children(task.id)
        _forget_refusals()
    except Exception:
        savepoint.rollback()
        logger.exception('cannot end the reservation of task %s', info.get('id'))


def _forget_refusals():
    """A builder that has refused a module task because it had enough of them has fewer now. Otherwise the
    task would wait for the hub's SoftRefusalTimeout, however idle the builder."""
    waiting = db.QueryProcessor(tables=['scheduler_task_refusals'], columns=['scheduler_task_refusals.id'],
                                joins=['task ON task.id = scheduler_task_refusals.task_id'],
                                clauses=['soft IS TRUE', 'task.method IN %(methods)s',
                                         'task.state = %(free)i'],
                                values={'methods': METHODS, 'free': koji.TASK_STATES['FREE']},
                                opts={'asList': True}).execute()
    if waiting:
        db.DeleteProcessor('scheduler_task_refusals', clauses=['id IN %(ids)s'],
                           values={'ids': [row[0] for row in waiting]}).execute()


def _cancel_children(task_id):
    """What a builder that died has left of a failed build; Koji does it for a cancelled one. A component
    that ran on would be in the way of the next attempt."""
    for child in hub.Task(task_id).getChildren():
        if koji.TASK_STATES[child['state']] not in ENDED \
                and not (child['method'] in METHODS and _ending(child['id'])):
            hub.Task(child['id']).cancel(recurse=True)


def _refund_build(task_id):
    """End what is being built by a task, as cg_refund_build does."""
    building, failed = koji.BUILD_STATES['BUILDING'], koji.BUILD_STATES['FAILED']
    rows = db.QueryProcessor(tables=['build'], columns=['id'], opts={'asList': True, 'rowlock': True},
                             clauses=['task_id = %(task)i', 'state = %(state)i'],
                             values={'task': task_id, 'state': building}).execute()
    for (build_id,) in rows:
        change = {'attribute': 'state', 'old': building, 'new': failed}
        koji.plugin.run_callbacks('preBuildStateChange', info=hub.get_build(build_id, strict=True), **change)
        update = db.UpdateProcessor('build', values={'id': build_id}, clauses=['id = %(id)i'],
                                    data={'state': failed}, rawdata={'completion_time': 'NOW()'})
        update.execute()
        hub.clear_reservation(build_id)
        koji.plugin.run_callbacks('postBuildStateChange', info=hub.get_build(build_id, strict=True), **change)


def _policy_tests():
    """The policy tests, as classes: the hub finds them among this module's names (findSimpleTests)."""
    class ModuleComponentTest(koji.policy.BaseSimpleTest):
        """module_component: a module's own task started this build, in that module's build tag."""
        name = 'module_component'

        def run(self, data):
            task = hub.Task(data['task_id']).getInfo(strict=False) if data.get('task_id') else None
            if not task or not task['parent'] or task['method'] != 'build' or data.get('build_tag') is None:
                return False
            parent, tag = hub.Task(task['parent']).getInfo(), hub.get_tag(data['build_tag'])
            return parent['method'] in METHODS and bool(tag) and tag['extra'].get(TASK) == task['parent']

    class ModuleTagTest(koji.policy.BaseSimpleTest):
        """module_tag: the build tag, or the tag meant, is a module's."""
        name = 'module_tag'

        def run(self, data):
            tags = [hub.get_tag(data[k]) for k in ('build_tag', 'tag', 'fromtag') if data.get(k) is not None]
            return any(tag and TASK in tag['extra'] for tag in tags)

    return ModuleComponentTest, ModuleTagTest


def _register():
    koji.plugin.export(moduleBuild)  # says what is wrong where something is
    koji.plugin.export(moduleStatus)
    if _lacking:
        return
    koji.plugin.export(modulePrune)
    for call in (moduleReserve, moduleTags, moduleTagBuild, moduleRepo, moduleFinish):
        koji.plugin.export_in('host')(call)
    # a mistake in the settings turns building off, not the guards
    koji.plugin.callback('preTag', 'preUntag', 'prePackageListChange')(guard_content)
    koji.plugin.callback('preRepoInit')(guard_repo)
    koji.plugin.callback('preRepoDone')(guard_repo_done)
    koji.plugin.callback('preTaskStateChange')(guard_cancel)
    koji.plugin.callback('postTaskStateChange')(end_reservation)


if koji:
    try:
        ModuleComponentTest, ModuleTagTest = _policy_tests()
        _register()
    except Exception:
        logger.exception('module builds are off')
