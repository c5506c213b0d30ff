"""Command line plugin: koji module-info, list-modules and module-prune."""

import re
import time
from optparse import OptionParser

try:
    import koji
    from koji.plugin import export_cli
    from koji_cli.lib import activate_session, ensure_connection, error, get_usage_str, warn
except ImportError:  # the tests of what needs no Koji
    koji = None

    def export_cli(function):
        return function
try:
    import yaml
except ImportError:  # dependencies are then not shown
    yaml = None

PART = re.compile(r'[A-Za-z0-9_][A-Za-z0-9+._-]*')
MAX_DOCUMENT = 4 << 20
KEYS = ('name', 'stream', 'version', 'context')


def clean(value):
    """Text without control characters, which a terminal would obey."""
    return ''.join(c if c.isprintable() else '?' for c in str(value))


def parse_nsvc(text):
    """name:stream[:version[:context]] as a struct; ValueError where it is none."""
    parts = text.split(':')
    if not 2 <= len(parts) <= 4 or not all(PART.fullmatch(part) for part in parts):
        raise ValueError('not name:stream[:version[:context]]: %s' % clean(text))
    return dict(zip(KEYS, parts))


def nvr_pattern(nsvc):
    """The glob that a module's build has as NVR. A stream's hyphens are underscores there."""
    return '%s-%s-%s*' % (nsvc['name'], nsvc['stream'].replace('-', '_'), nsvc.get('version', ''))


def identity(build):
    """Name, stream, version and context of a build of type module. From its NVR where the build itself
    does not say; hyphens of the stream are then underscores."""
    version, _, context = build['release'].partition('.')
    found = dict(zip(KEYS, (build['name'], build['version'], version, context)))
    module = typeinfo(build)
    found.update({key: str(module[key]) for key in KEYS if module.get(key)})
    return found


def typeinfo(build):
    place = build.get('extra')
    for key in ('typeinfo', 'module'):
        place = place.get(key) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else {}


def nsvc_text(found):
    return clean(':'.join(found[key] for key in KEYS).rstrip(':'))


def matches(build, nsvc):
    found = identity(build)
    return all(found[key].replace('-', '_') == nsvc[key].replace('-', '_') for key in nsvc)


def newest_first(builds):
    """Builds, complete ones first, then by version, then by id."""
    def order(build):
        version = identity(build)['version']
        return (build['state'] == 1, int(version) if version.isdigit() else 0, build['build_id'])
    return sorted(builds, key=order, reverse=True)


def newest_of_streams(builds):
    """Of each name and stream the builds with the newest version: one for each context."""
    kept = {}
    for build in newest_first(builds):
        found = identity(build)
        first = kept.setdefault((found['name'], found['stream']), [])
        if not first or identity(first[0])['version'] == found['version']:
            first.append(build)
    return [build for builds in kept.values() for build in builds]


def find_builds(session, text):
    """The builds of type module that a user means, newest first. ValueError where he means nothing."""
    if ':' in text:
        nsvc = parse_nsvc(text)
        found = session.listBuilds(packageID=nsvc['name'], type='module', pattern=nvr_pattern(nsvc),
                                   queryOpts={'order': '-build_id', 'limit': 200})
        builds = newest_first([build for build in found if matches(build, nsvc)])
    else:
        build = session.getBuild(int(text) if text.isdigit() else text)
        if build and 'module' not in session.getBuildType(build):
            raise ValueError('%s is no build of a module' % build['nvr'])
        builds = [build] if build else []
    if not builds:
        raise ValueError('No such module: %s' % clean(text))
    return builds


# The modulemd document of a build.

def read_document(session, build, options):
    """The modulemd document of a module as data, or None with a warning."""
    if not yaml:
        warn('Without PyYAML (python3-yaml) dependencies are not shown')
        return None
    text = typeinfo(build).get('modulemd_str')
    try:
        if not text:
            text = fetch_document(session, build, options)
        document = yaml.safe_load(text) if text else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError, koji.GenericError) as exc:
        warn('cannot read the document of %s: %s' % (build['nvr'], clean(exc)))
        return None
    data = document.get('data') if isinstance(document, dict) else None
    return data if isinstance(data, dict) else None


def fetch_document(session, build, options):
    for archive in session.listArchives(buildID=build['build_id'], type='module'):
        if archive['filename'] == 'modulemd.txt' and archive['size'] <= MAX_DOCUMENT:
            path = '%s/%s' % (koji.PathInfo(topdir='').typedir(build, 'module').lstrip('/'), 'modulemd.txt')
            with koji.openRemoteFile(path, topurl=options.topurl) as document:
                return document.read(MAX_DOCUMENT)
    return None


def dependency_lines(data):
    """Dependencies of a document of version 1 or 2."""
    lines = []
    dependencies = data.get('dependencies')
    for either in dependencies if isinstance(dependencies, list) else [dependencies]:
        for title, key in (('Requires', 'requires'), ('Build requires', 'buildrequires')):
            named = either.get(key) if isinstance(either, dict) else None
            if isinstance(named, dict) and named:
                words = []
                for name, streams in sorted(named.items(), key=str):
                    streams = streams if isinstance(streams, list) else [streams]
                    words.append('%s:[%s]' % (name, ', '.join(str(stream) for stream in streams)))
                lines.append('%s: %s' % (title, clean(' '.join(words))))
    return lines


# koji module-info

@export_cli
def anon_handle_module_info(goptions, session, args):
    "[info] Print information about a module"
    usage = "usage: %prog module-info [options] <module> [<module> ...]\n\n" \
            "A module is given as name:stream[:version[:context]], as the n-v-r of its build, or\n" \
            "by the id of its build. Of several the newest complete one is shown.\n"
    parser = OptionParser(usage=get_usage_str(usage))
    parser.add_option("--artifacts", action="store_true", help="List the packages of each architecture")
    options, args = parser.parse_args(args)
    if not args:
        parser.error("Please specify a module")
    ensure_connection(session, goptions)
    failed = False
    for text in args:
        try:
            builds = find_builds(session, text)
        except (ValueError, koji.GenericError) as exc:
            warn('%s\n' % exc)
            failed = True
            continue
        # listBuilds and getBuild do not tell the same
        show(session, session.getBuild(builds[0]['build_id'], strict=True), goptions, options)
        show_others(builds[0], builds[1:])
        print('')
    if failed:
        error()


def show(session, build, goptions, options):
    found = identity(build)
    print('MODULE: %s' % nsvc_text(found))
    print('Build: %s [%d]' % (clean(build['nvr']), build['build_id']))
    print('State: %s' % koji.BUILD_STATES[build['state']])
    print('Built by: %s' % clean(build['owner_name']))
    if build.get('source'):
        print('Source: %s' % clean(build['source']))
    task = session.getTaskInfo(build['task_id'], request=True) if build.get('task_id') else None
    print('Task: %s' % ('%s %s' % (task['id'], koji.taskLabel(task)) if task else 'none'))
    print('Finished: %s' % (koji.formatTimeLong(build['completion_ts']) if build['completion_ts'] else 'no'))
    tags = session.listTags(build['build_id'])
    print('Tags: %s' % clean(' '.join(tag['name'] for tag in tags)))
    content = typeinfo(build).get('content_koji_tag')
    if content:
        print('Content tag: %s' % clean(content))
        show_repository(session, content, found, goptions)
    data = read_document(session, build, goptions)
    if data:
        if data.get('summary'):
            print('Summary: %s' % clean(data['summary']))
        for line in dependency_lines(data):
            print(line)
    if content:
        show_components(session, content)
    show_artifacts(session, build, options)


def show_others(shown, others):
    """What else the user may have meant."""
    version, count = identity(shown)['version'], 0
    for other in others:
        if identity(other)['version'] == version:
            print('Also: %s [%d], %s' % (nsvc_text(identity(other)), other['build_id'],
                                         koji.BUILD_STATES[other['state']]))
        else:
            count += 1
    if count:
        print('Other versions: %d, see list-modules --name %s' % (count, clean(shown['name'])))


def show_repository(session, tag, found, goptions):
    try:
        repo = session.getRepo(tag)
    except koji.GenericError:  # the tag has been deleted
        repo = None
    if not repo:
        print('Repository: none')
        return
    url = koji.PathInfo(topdir=goptions.topurl).repo(repo['id'], tag)
    print('Repository: %s' % clean(url))
    name = '%(name)s-%(stream)s' % found
    for verb in ('enable', 'install'):
        print('  ' + clean('dnf --repofrompath=%s,%s/\\$basearch --setopt=%s.gpgcheck=0 module %s %s:%s' % (
            name, url, name, verb, found['name'], found['stream'])))


def show_components(session, tag):
    try:
        builds = session.listTagged(tag, inherit=False)
    except koji.GenericError as exc:
        warn('components: %s' % exc)
        return
    if builds:
        print('Components:')
    for build in sorted(builds, key=lambda build: build['nvr']):
        print('  %s [%d]' % (clean(build['nvr']), build['build_id']))


def show_artifacts(session, build, options):
    """The packages of each architecture, by the component lists of its document."""
    archives = {}
    for archive in session.listArchives(buildID=build['build_id'], type='module'):
        match = re.fullmatch(r'modulemd\.([A-Za-z0-9_]+)\.txt', archive['filename'])
        if match and match.group(1) != 'src':  # that is what the packager wrote
            archives[match.group(1)] = archive['id']
    if not archives:
        return
    with session.multicall() as multi:
        calls = {arch: multi.listRPMs(imageID=archives[arch]) for arch in archives}
    print('Artifacts:')
    for arch in sorted(calls):
        rpms = calls[arch].result
        print('  %s: %d packages' % (arch, len(rpms)))
        if options.artifacts:
            for rpm in sorted(rpms, key=lambda rpm: (rpm['name'], rpm['arch'])):
                print('    ' + clean('%s-%s:%s-%s.%s' % (rpm['name'], rpm['epoch'] or 0, rpm['version'],
                                                         rpm['release'], rpm['arch'])))


# koji list-modules

@export_cli
def anon_handle_list_modules(goptions, session, args):
    "[info] List modules"
    usage = "usage: %prog list-modules [options]"
    parser = OptionParser(usage=get_usage_str(usage))
    parser.add_option("--tag", help="List modules in this tag")
    parser.add_option("--inherit", action="store_true", help="Follow inheritance of the tag")
    parser.add_option("--latest", action="store_true",
                      help="List the newest version of each name and stream only")
    parser.add_option("--name", help="List modules of this name")
    parser.add_option("--owner", help="List modules built by this user")
    parser.add_option("--state", help="List modules in this state (default: COMPLETE; all for every one)")
    parser.add_option("--limit", type="int", default=200, metavar="N",
                      help="Without --tag, list the newest N (default: %default; 0 for all)")
    parser.add_option("--quiet", action="store_true", default=goptions.quiet,
                      help="Do not print the header information")
    options, args = parser.parse_args(args)
    if args:
        parser.error("This command takes no arguments")
    if options.inherit and not options.tag:
        parser.error("--inherit needs --tag")
    if options.tag and options.state:
        parser.error("--state cannot be used with --tag: builds in tags are complete")
    state = options.state.upper() if options.state else 'COMPLETE'
    if state not in ('ALL',) + tuple(name for name in koji.BUILD_STATES if isinstance(name, str)):
        parser.error("Invalid state: %s" % options.state)
    ensure_connection(session, goptions)
    print_list(list_modules(parser, session, options, state), options)


def list_modules(parser, session, options, state):
    if options.tag:
        if not session.getTag(options.tag):
            parser.error("No such tag: %s" % options.tag)
        builds = session.listTagged(options.tag, inherit=bool(options.inherit), type='module',
                                    package=options.name, owner=options.owner)
    else:
        asked = {'type': 'module', 'queryOpts': {'order': '-build_id'}}
        if options.limit > 0:
            asked['queryOpts']['limit'] = options.limit
        if options.name:
            if session.getPackageID(options.name) is None:
                parser.error("No such package: %s" % options.name)
            asked['packageID'] = options.name
        if options.owner:
            user = session.getUser(options.owner)
            if not user:
                parser.error("No such user: %s" % options.owner)
            asked['userID'] = user['id']
        if state != 'ALL':
            asked['state'] = koji.BUILD_STATES[state]
        builds = session.listBuilds(**asked)
        if options.limit > 0 and len(builds) == options.limit:
            warn('Only the newest %d are listed: see --limit' % options.limit)
    return newest_of_streams(builds) if options.latest else builds


def print_list(builds, options):
    if not options.quiet:
        titles = ('Module', 'State' if not options.tag else 'Tag', 'Built by')
        print('%-55s  %-25s  %s' % titles)
        print('%s  %s  %s' % ('-' * 55, '-' * 25, '-' * 16))
    rows = sorted(((identity(build), build) for build in builds), key=lambda row: (
        row[0]['name'], row[0]['stream'], len(row[0]['version']), row[0]['version'], row[0]['context']))
    for found, build in rows:
        if options.quiet:
            print(nsvc_text(found))
        else:
            second = build['tag_name'] if options.tag else koji.BUILD_STATES[build['state']]
            print('%-55s  %-25s  %s' % (nsvc_text(found), clean(second), clean(build['owner_name'])))


# koji module-prune

@export_cli
def handle_module_prune(goptions, session, args):
    "[admin] Delete tags of modules that are no longer needed"
    usage = "usage: %prog module-prune [options]\n\n" \
            "Deletes the build tags of modules, and both tags of module builds that failed. The\n" \
            "tags of modules that were built stay: they hold their packages.\n"
    parser = OptionParser(usage=get_usage_str(usage))
    parser.add_option("-n", "--test", action="store_true", help="Test mode: only list the tags")
    parser.add_option("--days", type="int", default=30,
                      help="Only those of tasks that ended so many days ago (default: %default)")
    parser.add_option("--force", action="store_true", help="Do not ask before deleting")
    parser.add_option("--quiet", action="store_true", default=goptions.quiet,
                      help="Do not print the tags that are deleted")
    options, args = parser.parse_args(args)
    if args:
        parser.error("This command takes no arguments")
    if options.days < 0:
        parser.error("--days must not be negative")
    activate_session(session, goptions)
    try:
        rows = session.modulePrune(options.days, True)
    except koji.GenericError as exc:
        if 'Invalid method' in str(exc):
            error("The module_build plugin appears to not be installed on the koji hub.")
        raise
    if not rows:
        if not options.quiet:
            print('Nothing to delete')
        return
    if options.test or not options.quiet or not options.force:
        print_tags(rows)
    if options.test:
        return
    if not options.force:
        try:
            answer = input('Delete these %d tags? [y/N] ' % len(rows))
        except EOFError:  # nobody is there to answer
            answer = ''
        if answer.strip().lower() not in ('y', 'yes'):
            print('Nothing was deleted')
            return
    deleted = 0
    while rows:  # the hub deletes so many in one call
        rows = session.modulePrune(options.days, False)
        deleted += len(rows)
    if not options.quiet:
        print('Deleted %d tags' % deleted)


def print_tags(rows):
    print('%-60s  %-8s  %s' % ('Tag', 'Task', 'Ended'))
    print('%s  %s  %s' % ('-' * 60, '-' * 8, '-' * 10))
    for row in rows:
        ended = time.strftime('%Y-%m-%d', time.localtime(row['ended'])) if row['ended'] else ''
        print('%-60s  %-8d  %s' % (clean(row['tag']), row['task_id'], ended))
