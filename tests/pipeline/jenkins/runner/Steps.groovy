import groovy.json.JsonOutput

import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.PathMatcher
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.TimeUnit
import java.util.concurrent.locks.ReentrantLock
import javax.xml.parsers.DocumentBuilderFactory

/** The steps, in one place of the build: with its environment, its workspace (null: no agent), and what can stop it. */
class Steps {
    private static final Map<String, ReentrantLock> LOCKS = new ConcurrentHashMap<>()
    final Build build
    final File workspace
    final Scope scope
    final Map<String, String> environment

    Steps(Build build, File workspace, Scope scope, Map<String, String> more) {
        this.build = build
        this.workspace = workspace
        this.scope = scope
        environment = [:] + build.environment + more
    }

    Steps within(Map<String, String> more) { new Steps(build, workspace, scope, environment + more) }
    Steps under(Scope other) { new Steps(build, workspace, other, environment) }
    Steps on(File folder, String label) { new Steps(build, folder, scope, environment + [WORKSPACE: folder.path, NODE_NAME: label]) }
    Steps withEnvironment(Map values) { values ? within(values.collectEntries { k, v -> [k, v.toString()] }) : this }

    /** For a post: what was stopped does not stop it, but it has so many seconds then, as Jenkins's timeout grants. */
    Steps afterStop(int seconds) {
        if (!scope.stopped()) { return this }
        Scope last = new Scope(null)
        build.clock.schedule({ last.stop('the grace after a stop is over') }, seconds, TimeUnit.SECONDS)
        under(last)
    }

    Object run(Closure block) {
        scope.check()
        Closure own = block.clone() as Closure
        own.delegate = this
        own.resolveStrategy = Closure.DELEGATE_FIRST
        own.call()
    }

    @Override
    Object getProperty(String name) {
        if (name in ['build', 'workspace', 'scope', 'environment']) { return getMetaClass().getProperty(this, name) }
        name == 'env' ? environment : environment.containsKey(name) ? environment[name] : build.variable(name)
    }

    @Override
    Object invokeMethod(String name, Object arguments) {
        List given = arguments as List
        if (name in build.reference.bindings.keySet()) { return [kind: name] + (given[0] as Map) }
        Map rule = build.reference.steps[name]
        if (rule == null) { throw new StepFailed("No such DSL method '${name}' found among steps") }
        scope.check()
        if (rule.node && !workspace) { throw new StepFailed("Required context class hudson.FilePath is missing: ${name} needs an agent") }
        Closure body = given && given.last() instanceof Closure ? given.last() : null
        List rest = body ? given.dropRight(1) : given
        Map named = rest && rest[0] instanceof Map ? rest[0] : rest ? [((rule.needs + rule.may)[0]): rest[0]] : [:]
        if (rule.block && name in ['timeout', 'lock', 'retry']) { return wrap(name, rest) { Steps inner -> inner.run(body) } }
        this."do_${name}"(named, body)
    }

    Object wrap(String name, List given, Closure body) {
        Map named = given && given[0] instanceof Map ? given[0] : [resource: given[0], count: given[0], time: given[0]]
        this."wrap_${name}"(named, body)
    }

    private Object wrap_timeout(Map of, Closure body) {
        Scope inner = new Scope(scope)
        long milliseconds = TimeUnit.valueOf((of.unit ?: 'MINUTES') as String).toMillis(of.time as long)
        if (build.asked.minuteMilliseconds) { milliseconds = milliseconds.intdiv(60000) * (build.asked.minuteMilliseconds as long) }
        Object alarm = build.clock.schedule({ build.log.say('Cancelling nested steps due to timeout'); inner.stop('Timeout has been exceeded') }, milliseconds, TimeUnit.MILLISECONDS)
        try { inner.inside { body(under(inner)) } } finally { alarm.cancel(false) }
    }

    private Object wrap_lock(Map of, Closure body) {
        ReentrantLock lock = LOCKS.computeIfAbsent(of.resource as String) { new ReentrantLock(true) }
        build.log.say("Trying to acquire lock on [${of.resource}]")
        scope.inside { lock.lockInterruptibly() }
        build.log.say("Lock acquired on [${of.resource}]")
        try { body(this) } finally {
            lock.unlock()
            build.log.say("Lock released on [${of.resource}]")
        }
    }

    private Object wrap_retry(Map of, Closure body) {
        for (int left = of.count as int; ; left--) {
            try { return body(this) } catch (StepFailed failed) { if (left <= 1) { throw failed } }
        }
    }

    private Object do_echo(Map of, Closure _) { build.log.say(of.message); null }
    private Object do_error(Map of, Closure _) { throw new StepFailed(of.message as String) }
    private Object do_sleep(Map of, Closure _) { scope.inside { TimeUnit.valueOf((of.unit ?: 'SECONDS') as String).sleep(of.time as long) } }
    private Object do_unstable(Map of, Closure _) { build.log.say(of.message); build.worsen('UNSTABLE'); null }
    private Object do_timestamps(Map of, Closure body) { run(body) }
    private Object do_dir(Map of, Closure body) { new Steps(build, new File(workspace, of.path as String), scope, environment).run(body) }
    private Object do_deleteDir(Map of, Closure _) { workspace.deleteDir(); null }
    private Object do_withEnv(Map of, Closure body) { within((of.overrides as List).collectEntries { it.toString().split('=', 2) as List }).run(body) }

    /** With -x as in Jenkins, so that the log shows each command; in a group of its own, so that it can be ended whole. */
    private Object do_sh(Map of, Closure _) {
        workspace.mkdirs()
        ProcessBuilder shell = new ProcessBuilder('setsid', 'sh', '-xec', of.script as String).directory(workspace).redirectErrorStream(true)
        shell.environment().clear()
        shell.environment().putAll(environment.collectEntries { k, v -> [k, v.toString()] })
        Process process = shell.start()
        process.outputStream.close()
        StringBuilder said = new StringBuilder()
        String branch = build.log.branchName()
        Thread reader = Thread.start { build.log.branch(branch) { process.inputStream.eachLine { of.returnStdout ? said.append(it + '\n') : build.log.say(it) } } }
        int code = scope.inside { scope.await(process) } as int
        reader.join(5000)
        scope.check()
        if (of.returnStatus) { return code }
        if (code != 0) { throw new StepFailed("script returned exit code ${code}") }
        of.returnStdout ? said.toString() : null
    }

    private Object do_withCredentials(Map of, Closure body) {
        Credentials bound = new Credentials(build.asked.credentials as Map, new File(build.asked.home as String))
        List<Map> each = (of.bindings as List).collect { bound.bind(it as Map) }
        Map<String, String> variables = each.collectMany { it.variables.entrySet() }.collectEntries()
        build.log.say("Masking supported pattern matches of ${variables.keySet().collect { '$' + it }.join(' or ')}")
        try {
            build.log.masking(each.collectMany { it.secrets as List }) { within(variables).run(body) }
        } finally {
            bound.forget()
        }
    }

    private Object do_stash(Map of, Closure _) {
        List<String> found = matching(of.includes ?: '**')
        if (!found && !of.allowEmpty) { throw new StepFailed("No files included in stash '${of.name}'") }
        found.each { copy(new File(workspace, it), new File(kept('stashes', of.name), it)) }
        kept('stashes', of.name).mkdirs()
        build.log.say("Stashed ${found.size()} file(s)")
        null
    }

    private Object do_unstash(Map of, Closure _) {
        File from = kept('stashes', of.name)
        if (!from.directory) { throw new StepFailed("No such saved stash '${of.name}'") }
        from.eachFileRecurse { if (it.file) { copy(it, new File(workspace, from.toPath().relativize(it.toPath()).toString())) } }
        null
    }

    private Object do_archiveArtifacts(Map of, Closure _) {
        List<String> found = (of.artifacts as String).tokenize(',').collectMany { matching(it.trim()) }
        if (!found && !of.allowEmptyArchive) { throw new StepFailed("No artifacts found that match the file pattern \"${of.artifacts}\"") }
        found.each { copy(new File(workspace, it), new File(kept('artifacts', build.environment.BUILD_NUMBER), it)) }
        build.log.say("Archiving artifacts: ${found.join(', ')}")
        null
    }

    private Object do_junit(Map of, Closure _) {
        List<String> found = (of.testResults as String).tokenize(',').collectMany { matching(it.trim()) }
        if (!found && !of.allowEmptyResults) { throw new StepFailed('No test report files were found. Configuration error?') }
        List<Integer> counts = found.collect { tally(new File(workspace, it)) }.transpose().collect { it.sum() as int } ?: [0, 0]
        int failures = counts[1]
        build.log.say("Recording test results: ${counts[0]} tests, ${failures} failures")
        if (failures && !of.skipMarkingBuildUnstable) { build.worsen('UNSTABLE') }
        null
    }

    /** As the plugin: one attachment to the app's address, of which only Jenkins's own configuration knows the token. */
    private Object do_slackSend(Map of, Closure _) {
        build.log.say("Slack Send Pipeline step running, channel: ${of.channel}, color: ${of.color}, message: ${of.message}")
        Map slack = build.asked.slack as Map ?: [:]
        if (!slack.url) { throw new StepFailed('slackSend: no workspace is configured') }
        String why = posted(slack.url as String, [channel: of.channel, attachments: [[color: of.color, text: of.message.toString()]]])
        if (why) { build.log.say("Slack notification failed: ${why}") }
        if (why && of.failOnError) { throw new StepFailed(why) }
        null
    }

    private static String posted(String url, Map message) {
        HttpURLConnection connection = new URL(url).openConnection() as HttpURLConnection
        connection.doOutput = true
        connection.setRequestProperty('Content-Type', 'application/json')
        try {
            connection.outputStream.withWriter('UTF-8') { it << JsonOutput.toJson(message) }
            return connection.responseCode == 200 ? '' : "it answered ${connection.responseCode}"
        } catch (IOException error) {
            return error.message
        }
    }

    private List<String> matching(Object pattern) {
        PathMatcher matcher = FileSystems.default.getPathMatcher("glob:${pattern}")
        List<String> found = []
        if (workspace.directory) {
            workspace.eachFileRecurse { File f -> if (f.file && matcher.matches(workspace.toPath().relativize(f.toPath()))) { found << workspace.toPath().relativize(f.toPath()).toString() } }
        }
        found.sort()
    }

    private File kept(String kind, Object name) { new File(new File(build.asked.home as String, kind), name.toString()) }

    private static List<Integer> tally(File report) {
        def document = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(report)
        List<Integer> sizes = ['testcase', 'failure', 'error'].collect { document.getElementsByTagName(it).length }
        [sizes[0], sizes[1] + sizes[2]]
    }

    private static void copy(File from, File to) {
        to.parentFile.mkdirs()
        Files.copy(from.toPath(), to.toPath(), java.nio.file.StandardCopyOption.REPLACE_EXISTING)
    }
}
