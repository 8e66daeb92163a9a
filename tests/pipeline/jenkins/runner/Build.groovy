import groovy.json.JsonOutput

import java.util.concurrent.Executors
import java.util.concurrent.ScheduledExecutorService
import java.util.concurrent.TimeUnit

/**
 * One build of a declarative pipeline, as the reference says: options, then input, agent and conditions of each stage,
 * parallel branches in threads, posts inside out. `asked` holds what a Jenkins would know: workspace, environment,
 * credentials, parameters, how the input is answered, and a pattern in the log upon which the build is aborted.
 */
class Build {
    static final List<String> ORDER = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'ABORTED']
    static final int GRACE_SECONDS = 60
    final Map asked
    final Map reference
    final Log log
    final Map<String, Object> environment = [:]
    final Map<String, Object> parameters = [:]
    final List<String> skipped = Collections.synchronizedList([])
    final Map<String, String> stages = Collections.synchronizedMap([:])
    final Scope scope = new Scope(null)
    final ScheduledExecutorService clock = Executors.newScheduledThreadPool(2, { Thread t = new Thread(it); t.daemon = true; t })
    final long started = System.currentTimeMillis()
    volatile String result = 'SUCCESS'

    Build(Map asked, Map reference) {
        this.asked = asked
        this.reference = reference
        log = new Log(asked.abortWhen ? { String line -> if (line =~ asked.abortWhen) { scope.stop('Aborted by a user') } } : { })
        environment.putAll(asked.environment as Map)
    }

    int run() {
        File file = new File(asked.jenkinsfile as String)
        List<String> faults = new Checker(reference).check(file.text)
        if (faults) {
            faults.each { log.say("WorkflowScript: ${it}") }
            return end('FAILURE')
        }
        try {
            Model model = new Model(file, this.&variable)
            defaults(model.top)
            Steps steps = new Steps(this, null, scope, [:])
            attempt { pipeline(model.top, steps) }
        } catch (Exception error) {
            log.say("ERROR: ${error.class.simpleName}: ${error.message}")
            worsen('FAILURE')
        }
        clock.shutdownNow()
        end(result)
    }

    private void pipeline(Map top, Steps outer) {
        Closure body = { Steps inner -> withPost(top, inner, null) { Steps steps -> sequence(top.stages as List, steps) } }
        withOptions(top.options as List ?: [], outer) { Steps steps -> withAgent(top.agent, steps, body) }
    }

    private void sequence(List<Map> listed, Steps steps) {
        Throwable first = null
        listed.each { Map one ->
            if (first || (result == 'UNSTABLE' && asked.skipsAfterUnstable)) {
                log.say("Stage \"${one.given[0]}\" skipped due to earlier failure(s)")
                skip(one)
            } else {
                try { stage(one.given[0] as String, one.content as Map, steps) } catch (Exception error) { first = error }
            }
        }
        if (first) { throw first }
    }

    private void stage(String name, Map parts, Steps outer) {
        outer.scope.check()
        log.say("[stage] ${name}")
        List<Map> conditions = parts.when as List ?: []
        boolean isFirst = flag(conditions, 'beforeOptions'), isBeforeInput = flag(conditions, 'beforeInput')
        boolean isBeforeAgent = flag(conditions, 'beforeAgent')
        Steps named = outer.within(STAGE_NAME: name)
        Closure<Boolean> holds = { Steps s -> new Conditions(this, s).all(conditions) }
        Closure leave = { stages[name] = 'SKIPPED'; log.say("Stage \"${name}\" skipped due to when conditional"); skip([given: [name], content: parts]) }
        if (isFirst && !holds(named)) { leave(); return }
        withOptions(parts.options as List ?: [], named) { Steps a ->
            if (isBeforeInput && !isFirst && !holds(a)) { leave(); return }
            Steps b = parts.input ? a.within(new Gate(this).pass(name, parts.input as Map, a.scope)) : a
            if (isBeforeAgent && !isBeforeInput && !isFirst && !holds(b)) { leave(); return }
            withAgent(parts.agent, b) { Steps c ->
                if (!isFirst && !isBeforeInput && !isBeforeAgent && !holds(c)) { leave(); return }
                Steps d = c.withEnvironment(parts.environment as Map ?: [:])
                withPost(parts, d, name) { Steps inner -> body(parts, inner) }
            }
        }
    }

    private void body(Map parts, Steps steps) {
        if (parts.stages) { sequence(parts.stages as List, steps); return }
        if (parts.parallel) { branches(parts.parallel as List, steps, parts.failFast == true); return }
        steps.run(parts.steps as Closure)
    }

    /** Every branch goes to its end, whatever becomes of the others; without failFast none is stopped for another. */
    private void branches(List<Map> listed, Steps steps, boolean isFailFast) {
        Scope together = new Scope(steps.scope)
        List<Throwable> errors = Collections.synchronizedList([])
        List<Thread> threads = listed.collect { Map one ->
            Thread.start("branch ${one.given[0]}") {
                try {
                    Scope own = new Scope(together)
                    own.inside { log.branch(one.given[0] as String) { stage(one.given[0] as String, one.content as Map, steps.under(own)) } }
                } catch (Exception error) {
                    errors << error
                    if (isFailFast) { together.stop("another branch failed: ${one.given[0]}") }
                }
            }
        }
        threads.each { Thread t -> while (t.alive) { try { t.join() } catch (InterruptedException ignored) { } } }
        if (errors) { throw errors.find { !(it instanceof Stopped) } ?: errors[0] }
    }

    /** Runs a body and then its post's conditions in the order of the reference; a fault there hides no other condition. */
    private void withPost(Map parts, Steps steps, String name, Closure body) {
        Throwable error = null
        try { body(steps) } catch (Exception failed) {
            error = failed
            log.say("ERROR: ${failed.message}")
        }
        String own = error ? resultOf(error) : (result == 'UNSTABLE' ? 'UNSTABLE' : 'SUCCESS')
        if (name) { stages[name] = own }
        worsen(own)
        Conditions.posts(parts.post as Map ?: [:], reference.post as List, own, asked.previous as String).each { condition, Closure block ->
            try {
                log.say("[post] ${name ?: 'pipeline'}: ${condition}")
                steps.afterStop(GRACE_SECONDS).run(block)
            } catch (Exception failed) {
                log.say("Error when executing ${condition} post condition: ${failed.message}")
                worsen('FAILURE')
                error = error ?: failed
            }
        }
        if (error) { throw error }
    }

    private void withOptions(List<Map> options, Steps steps, Closure body) {
        if (options.any { it.name == 'skipStagesAfterUnstable' }) { asked.skipsAfterUnstable = true }
        List<Map> wrapping = options.findAll { it.name in ['timeout', 'lock', 'retry'] }
        if (!wrapping) { body(steps); return }
        Map first = wrapping[0]
        steps.wrap(first.name as String, first.given as List) { Steps inner -> withOptions(wrapping.drop(1), inner, body) }
    }

    private void withAgent(Object agent, Steps steps, Closure body) {
        if (agent == null || agent == 'none') { body(steps); return }
        String label = agent == 'any' ? 'any' : (agent as Map).label ?: (agent as Map).node?.label
        if (label != 'any' && !((asked.labels as List).contains(label))) { throw new StepFailed("there are no nodes with the label '${label}'") }
        log.say("Running on ${label} in ${asked.workspace}")
        body(steps.on(new File(asked.workspace as String), label))
    }

    private void defaults(Map top) {
        (top.parameters as Map ?: [:]).each { kind, given -> (given instanceof Map ? [given] : given as List).each { parameters[it.name] = it.defaultValue } }
        parameters.putAll(asked.parameters as Map ?: [:])
        parameters.each { name, value -> environment[name] = value.toString() }
    }

    /** What a name means outside steps: Jenkins looks into the environment, too. */
    Object variable(String name) {
        Map known = [env: environment, params: parameters, currentBuild: about()]
        if (known.containsKey(name)) { return known[name] }
        if (environment.containsKey(name)) { return environment[name] }
        throw new MissingPropertyException("No such property: ${name}")
    }

    Map about() {
        long seconds = (System.currentTimeMillis() - started).intdiv(1000)
        [result: result, currentResult: result, number: environment.BUILD_NUMBER, durationString: "${seconds} sec and counting".toString()]
    }

    static String resultOf(Throwable error) { error instanceof Stopped ? 'ABORTED' : 'FAILURE' }

    synchronized void worsen(String other) {
        if (ORDER.indexOf(other) > ORDER.indexOf(result)) { result = other }
    }

    private void skip(Map one) {
        skipped << (one.given[0] as String)
        Map parts = one.content as Map
        ((parts.stages ?: parts.parallel ?: []) as List).each { skip(it as Map) }
    }

    private void attempt(Closure body) {
        try { scope.inside(body) } catch (Exception error) { worsen(resultOf(error)) }
    }

    private int end(String last) {
        result = last
        log.say("Finished: ${last}")
        if (asked.out) {
            new File(asked.out as String).text = JsonOutput.toJson([result: last, stages: stages, skipped: skipped, log: log.lines])
        }
        last == 'SUCCESS' ? 0 : 1
    }

    private static boolean flag(List<Map> conditions, String name) {
        conditions.any { it.name == name && it.given == [true] }
    }
}
