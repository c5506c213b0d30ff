"""Command line plugin: koji module-build, and names for module tasks in watch-task and list-tasks."""

import os
import re
from optparse import OptionParser

try:
    import koji
    from koji.plugin import export_cli
    from koji_cli.lib import (_progress_callback, _running_in_bg, activate_session, error, get_usage_str,
                              unique_path, warn, watch_tasks)
except ImportError:  # the tests of what needs no Koji
    koji = None

    def export_cli(function):
        return function
try:
    import yaml
except ImportError:  # source packages must then be named
    yaml = None

MAX_DOCUMENT = 4 << 20
# Options of the task resumed that say what is built, not how
SAME = ('scratch', 'version', 'name', 'stream', 'srpms')


class Problem(Exception):
    """What is wrong with the arguments, for the person who gave them."""


def read_components(path):
    """The components of a local module document: struct of name and what the document says of it.

    None where there is no YAML parser. What is wrong with a document is for the builder to tell in
    detail; here only what cannot be read at all is refused."""
    if os.path.getsize(path) > MAX_DOCUMENT:
        raise Problem('%s: a module document has at most %d bytes' % (path, MAX_DOCUMENT))
    if not yaml:
        return None
    try:
        with open(path, 'rb') as document:
            documents = list(yaml.safe_load_all(document))
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise Problem('%s: %s' % (path, exc))
    found = {}
    for document in documents:
        place = document
        for key in ('data', 'components', 'rpms'):
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict):
            found.update({str(name): said if isinstance(said, dict) else {} for name, said in place.items()})
    return found


def named_srpms(words):
    """--srpm NAME=FILE as a struct of component and path."""
    srpms = {}
    for word in words:
        name, equals, path = word.partition('=')
        if not name or not equals or not path:
            raise Problem('--srpm takes NAME=FILE, not %r' % word)
        if name in srpms:
            raise Problem('--srpm names %s twice' % name)
        srpms[name] = path
    return srpms


def local_srpms(document, components):
    """The components whose repository is a source package beside the document."""
    srpms = {}
    for name, said in components.items():
        repository = said.get('repository')
        if not isinstance(repository, str) or '://' in repository or not repository.endswith('.src.rpm'):
            continue
        path = os.path.join(os.path.dirname(os.path.abspath(document)), repository)
        if not os.path.isfile(path):
            raise Problem('component %s: there is no file %s' % (name, path))
        srpms[name] = path
    return srpms


def found_srpms(directory, components, read_header):
    """The source packages of a directory by component, found by the names in their headers. Where the
    components are not known (None) each package is one."""
    packages = {}
    try:
        names = sorted(os.listdir(directory))
    except OSError as exc:
        raise Problem('--srpms: %s' % exc)
    for file in names:
        if file.endswith('.src.rpm'):
            path = os.path.join(directory, file)
            packages.setdefault(read_header(path)['name'], []).append(path)
    if components is None:
        wanted = {name: name for name in packages}
    else:
        wanted = {name: said.get('name') or name for name, said in components.items()}
    srpms = {}
    for name, package in wanted.items():
        paths = packages.get(package, [])
        if len(paths) > 1:
            raise Problem('component %s: which of %s? Say --srpm %s=FILE' % (name, ' and '.join(paths), name))
        if paths:
            srpms[name] = paths[0]
    if not srpms:
        raise Problem('--srpms: %s has no source package of a component' % directory)
    return srpms


def read_header(path):
    """Name and proper file name of a source package."""
    try:
        with open(path, 'rb') as package:
            header = koji.get_rpm_header(package)
        if not koji.get_header_field(header, 'sourcepackage'):
            raise Problem('%s is not a source package' % path)
        name, version, release = [koji.get_header_field(header, key)
                                  for key in ('name', 'version', 'release')]
    except Problem:
        raise
    except Exception as exc:  # rpm.error, OSError, no rpm bindings
        raise Problem('%s cannot be read as a source package: %s' % (path, exc))
    # the builder refuses a file with another name
    return {'name': name, 'file': '%s-%s-%s.src.rpm' % (name, version, release)}


def collect_srpms(opts, document, read_header):
    """The source packages to upload: struct of component and path. What is said outright comes first,
    then the document, then the directory."""
    components = read_components(document) if document else None
    if document and components is None and (opts.srpms or not opts.srpm):
        warn('Without PyYAML (python3-yaml) only what --srpm and --srpms name is uploaded')
    srpms = found_srpms(opts.srpms, components, read_header) if opts.srpms else {}
    if components is not None:
        srpms.update(local_srpms(document, components))
    named = named_srpms(opts.srpm)
    unknown = sorted(set(named) - set(components)) if components is not None else []
    if unknown:
        raise Problem('%s has no component %s' % (document, ', '.join(unknown)))
    srpms.update(named)
    return srpms


def plan_uploads(document, srpms, read_header):
    """Each file to upload and its name there, and the names by component. No two may have one name."""
    uploads, names = {}, {}
    if document:
        name = re.sub(r'[^A-Za-z0-9_.-]', '_', os.path.basename(document)).lstrip('.-') or 'module.yaml'
        uploads[name] = document
    for component, path in sorted(srpms.items()):
        name = read_header(path)['file']
        if uploads.setdefault(name, path) != path and not os.path.samefile(uploads[name], path):
            raise Problem('%s and %s are both %s' % (uploads[name], path, name))
        names[component] = name
    return uploads, names


def upload(session, uploads, directory, opts):
    quiet = opts.quiet or opts.noprogress or _running_in_bg()
    for name, path in sorted(uploads.items()):
        if not opts.quiet:
            print('Uploading %s' % path)
        session.uploadWrapper(path, directory, name=name, callback=None if quiet else _progress_callback)
        if not quiet:
            print('')


def resumed(session, task_id):
    """Source, target and options of the module build that is to be resumed."""
    info = session.getTaskInfo(task_id, request=True)
    if not info:
        raise Problem('No such task: %s' % task_id)
    params = task_params(info)
    if info['method'] != 'moduleBuild' or params is None:
        raise Problem('Task %s is a %s task, not a module build' % (task_id, info['method']))
    opts = {key: value for key, value in (params.get('opts') or {}).items() if key in SAME}
    return params['source'], params['target'], opts


def task_params(info):
    """The named parameters of a task, or None."""
    request = info.get('request')
    if isinstance(request, (list, tuple)) and len(request) == 1 and isinstance(request[0], dict):
        return request[0]
    return None


def get_parser():
    usage = """usage: %prog module-build [options] <target> <scm url or module document>
       %prog module-build [options] --resume <task> [<target> <scm url>]

Builds a module: all of its components as subtasks, then its repository and build.

The target's build tag is the platform; the module is tagged into its destination tag.
The source is the URL of a git repository with #ref, or a local file. Components of a
local file may have local source packages: "repository: PATH.src.rpm" in the file, and
the options --srpm and --srpms. They are uploaded.
"""
    parser = OptionParser(usage=get_usage_str(usage))
    parser.add_option("--scratch", action="store_true",
                      help="Perform a scratch build: the module and its tags are not kept")
    parser.add_option("--keep-going", action="store_true",
                      help="When a component fails, build the others that do not need it")
    parser.add_option("--resume", type="int", metavar="TASK",
                      help="Build what is missing of a module build that failed or was canceled. Its "
                           "source, target and what it was asked to build are those of that task")
    parser.add_option("--version", help="Version of the module (default: from the time of the commit)")
    parser.add_option("--name", help="Name of the module, where the document has none")
    parser.add_option("--stream", help="Stream of the module, where the document has none")
    parser.add_option("--srpm", action="append", default=[], metavar="NAME=FILE",
                      help="Build component NAME from a local source package (repeatable)")
    parser.add_option("--srpms", metavar="DIR",
                      help="Build components from the source packages in DIR that have their names")
    parser.add_option("--wait", action="store_true",
                      help="Wait on the build, even if running in the background")
    parser.add_option("--nowait", action="store_false", dest="wait", help="Don't wait on build")
    parser.add_option("--background", action="store_true", help="Run the build at a lower priority")
    parser.add_option("--noprogress", action="store_true", help="Do not display progress of the upload")
    return parser


@export_cli
def handle_module_build(options, session, args):
    "[build] Build a module from source"
    parser = get_parser()
    parser.add_option("--quiet", action="store_true", default=options.quiet,
                      help="Do not print the task information")
    opts, args = parser.parse_args(args)
    if len(args) != 2 and not (opts.resume and not args):
        parser.error("Exactly two arguments (a build target and a SCM URL or module document) are required")
    source = args[1] if args else None
    document = source if source and '://' not in source else None
    if opts.resume and (document or opts.srpm or opts.srpms):
        parser.error("--resume takes the files that were uploaded for task %d" % opts.resume)
    if document and not os.path.isfile(document):
        parser.error("No such file, and no SCM URL: %s" % document)
    if source and not document and '#' not in source:
        parser.error("The SCM URL must end with #REF, a branch, tag or commit")
    try:
        srpms = collect_srpms(opts, document, read_header)
        uploads, names = plan_uploads(document, srpms, read_header)
        activate_session(session, options)
        build = {}
        if opts.resume:
            old_source, old_target, build = resumed(session, opts.resume)
            build['resume'] = opts.resume
            args = args or [old_target, old_source]
            source = args[1]
    except (Problem, OSError) as exc:
        parser.error(str(exc))
    for key in ('scratch', 'keep_going', 'background', 'version', 'name', 'stream'):
        if getattr(opts, key) is not None:
            build[key] = getattr(opts, key)
    check_target(parser, session, args[0], build.get('scratch'))
    if uploads:
        directory = unique_path('cli-build')
        upload(session, uploads, directory, opts)
        if document:
            source = '%s/%s' % (directory, [name for name in uploads if uploads[name] == document][0])
        if names:
            build['srpms'] = {component: '%s/%s' % (directory, names[component]) for component in names}
    return schedule(options, session, opts, (source, args[0], build))


def check_target(parser, session, name, scratch):
    """What the hub would refuse too, before anything is uploaded."""
    target = session.getBuildTarget(name)
    if not target:
        parser.error("No such build target: %s" % name)
    dest_tag = session.getTag(target['dest_tag'])
    if not dest_tag:
        parser.error("No such destination tag: %s" % target['dest_tag_name'])
    if dest_tag['locked'] and not scratch:
        parser.error("Destination tag %s is locked" % dest_tag['name'])


def schedule(options, session, opts, build):
    """Make the task and watch it, where that is wanted. Returns the exit code."""
    try:
        task_id = session.moduleBuild(*build)
    except koji.GenericError as exc:
        if 'Invalid method' in str(exc):
            error("The module_build plugin appears to not be installed on the koji hub. "
                  "Please contact the administrator.")
        raise
    if not opts.quiet:
        print("Created task: %d" % task_id)
        print("Task info: %s/taskinfo?taskID=%s" % (options.weburl, task_id))
    if not (opts.wait or (opts.wait is None and not _running_in_bg())):
        return None
    session.logout()
    code = watch_tasks(session, [task_id], quiet=opts.quiet, poll_interval=options.poll_interval,
                       topurl=options.topurl)
    if code == 0 and not opts.quiet:
        for line in result_lines(session.getTaskResult(task_id)):
            print(line)
    return code


def result_lines(result):
    """What the task has built, for people."""
    lines = []
    for module in (result.get('modules') or [result]) if isinstance(result, dict) else []:
        if not isinstance(module, dict):
            continue
        lines.append('')
        for title, key in (('Module', 'module'), ('Build', 'nvr'), ('Tag', 'tag'),
                           ('Repository', 'repo_url')):
            # a scratch build has neither when it is done
            if module.get(key) and (module.get('build_id') or key not in ('nvr', 'tag')):
                lines.append('%s: %s' % (title, clean(module[key])))
        for warning in module.get('warnings') or []:
            lines.append('Warning: %s' % clean(warning))
        if module.get('install'):
            lines.append('To install it:')
            lines += ['  ' + clean(line) for line in module['install']]
    return lines


def clean(value):
    """Text without control characters, which a terminal would obey."""
    return ''.join(c if c.isprintable() else '?' for c in str(value))


# Koji knows the parameters of its own tasks alone; others it shows without them.

def module_label(info):
    """What watch-task, list-tasks and taskinfo call a module task; None for other tasks."""
    if info.get('method') not in ('moduleBuild', 'moduleContext'):
        return None
    params = task_params(info) or {}
    if info['method'] == 'moduleContext':
        parts = [params['name'], params['stream'], params['version'], params['context']]
        return 'moduleContext (%s)' % clean(':'.join(str(part) for part in parts))
    url, _, ref = params['source'].partition('#')
    name = os.path.basename(url.partition('?')[0].rstrip('/'))
    if '://' in url:
        name = '%s:%s' % (re.sub(r'\.git$', '', name), ref)
    return 'moduleBuild (%s)' % clean('%s, %s' % (params['target'], name))


def with_labels(original):
    def label(info):
        try:
            return module_label(info) or original(info)
        except Exception:
            return original(info)
    label.of_modules = True
    return label


if koji and hasattr(koji, '_taskLabel') and not hasattr(koji._taskLabel, 'of_modules'):
    koji._taskLabel = with_labels(koji._taskLabel)
