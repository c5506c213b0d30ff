"""Builder plugin: the metadata of modules in dist repositories.

Koji makes dist repositories (koji dist-repo: the signed copies of a tag's packages) without modules.
With this plugin those of tags with modules get them: the content tags of modules themselves, and tags
that inherit such, or that have both the modules' builds and their packages. The documents are those of
the modules' builds, modulemd.ARCH.txt, of modules with at least one package in the repository.

It must be loaded by the kojid of every builder that takes createdistrepo tasks (channel createrepo), or
some repositories come out without modules. It needs modifyrepo_c (createrepo_c). A repository whose tag
has modules, but no readable document of them, is not made.
"""

import json
import os
import re
import subprocess

try:
    import koji
    from koji.plugin import callback
except ImportError:  # the tests of what needs no Koji
    koji = None

    def callback(*types):
        return lambda function: function

# what the hub plugin writes into the content tag of a module
IDENTITY = 'module.identity'
KEYS = ('name', 'stream', 'version', 'context')
MAX_DOCUMENT = 32 << 20
ARCH = re.compile(r'[A-Za-z0-9_]+')


def content_nvr(tag):
    """The NVR of the module whose content tag this is, or None."""
    found = (tag.get('extra') or {}).get(IDENTITY)
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in KEYS):
        return None
    return '%s-%s-%s.%s' % (found['name'], found['stream'].replace('-', '_'), found['version'],
                            found['context'])


def join_documents(texts):
    """YAML documents as one stream."""
    stream = b''
    for text in texts:
        text = text.strip() + b'\n'
        stream += text if text.startswith(b'---') else b'---\n' + text
    return stream


def module_builds(session, tag, opts):
    """The complete builds of modules that a tag has, by id: of the content tags in its inheritance, and
    those tagged there."""
    event, inherit = opts.get('event'), bool(opts.get('inherit'))
    tags = [tag]
    if inherit:
        tags += [link['parent_id'] for link in session.getFullInheritance(tag, event=event)]
    with session.multicall() as multi:
        infos = [multi.getTag(each, event=event) for each in tags]
        tagged = multi.listTagged(tag, event=event, inherit=inherit, type='module')
    names = {content_nvr(info.result) for info in infos if info.result} - {None}
    names.update(build['id'] for build in tagged.result)
    with session.multicall() as multi:
        found = [multi.getBuild(name) for name in names]
    return {build.result['id']: build.result for build in found
            if build.result and build.result['state'] == koji.BUILD_STATES['COMPLETE']}


def documents_for(session, builds, arch, rpm_ids):
    """The documents, for an architecture, of the modules with packages among those given."""
    ids = sorted(builds)
    with session.multicall() as multi:
        listed = {each: multi.listArchives(buildID=each, type='module') for each in ids}
    archives = {each: archive for each in ids for archive in listed[each].result
                if archive['filename'] == 'modulemd.%s.txt' % arch}
    with session.multicall() as multi:
        packages = {each: multi.listRPMs(imageID=archives[each]['id']) for each in archives}
    wanted = [each for each in archives if rpm_ids & {rpm['id'] for rpm in packages[each].result}]
    wanted.sort(key=lambda each: builds[each]['nvr'])
    texts = [defaults(name) for name in sorted({builds[each]['name'] for each in wanted})]
    return texts + [read_archive(builds[each], archives[each]) for each in wanted]


def defaults(name):
    """What makes dnf install profiles of a module (module install NAME:STREAM/PROFILE), with no default
    of any kind: those are the distribution's to choose."""
    return ('document: modulemd-defaults\nversion: 1\ndata:\n  module: "%s"\n...\n' % name).encode()


def read_archive(build, archive):
    """A file of a build. Koji's own task has to have the packages' files at hand, too."""
    path = os.path.join(koji.pathinfo.typedir(build, 'module'), archive['filename'])
    with open(path, 'rb') as document:
        text = document.read(MAX_DOCUMENT + 1)
    if len(text) != archive['size'] or len(text) > MAX_DOCUMENT:
        raise koji.GenericError('%s has %d bytes or more, not %s' % (path, len(text), archive['size']))
    return text


def modify_repo(repodir, text):
    """Make the documents, where there are any, the record "modules" of a repository. One that createrepo_c
    has kept from an older repository goes."""
    repodata = os.path.join(repodir, 'repodata')
    with open(os.path.join(repodata, 'repomd.xml'), 'rb') as repomd:
        if b'type="modules"' in repomd.read():
            modifyrepo('--remove', 'modules', repodata)
    if not text:
        return
    path = os.path.join(repodir, 'modules.yaml')
    with open(path, 'wb') as document:
        document.write(text)
    try:
        modifyrepo('--mdtype=modules', path, repodata)
    finally:
        os.remove(path)  # what is left here is uploaded


def modifyrepo(*args):
    try:
        done = subprocess.run(('modifyrepo_c',) + args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except OSError as exc:
        raise koji.GenericError('a repository with modules needs modifyrepo_c (createrepo_c): %s' % exc)
    if done.returncode:
        raise koji.GenericError('modifyrepo_c failed: %s' % done.stdout.decode('utf-8', 'replace')[-1000:])


@callback('postCreateDistRepo')
def add_modules(cbtype, tag=None, repodir=None, arch=None, opts=None, session=None, **kwargs):
    """Called by kojid before it uploads the repodata; what it raises fails the task."""
    if not ARCH.fullmatch(arch or ''):
        raise koji.GenericError('%r is no architecture' % arch)
    if arch == 'src':  # modulemd.src.txt is what the packager wrote
        return
    builds = module_builds(session, tag, opts or {})
    if not builds:
        return
    with open(os.path.join(repodir, 'kojipkgs'), encoding='utf-8') as listed:
        packages = json.load(listed)
    texts = documents_for(session, builds, arch, {rpm['id'] for rpm in packages.values()})
    modify_repo(repodir, join_documents(texts))
