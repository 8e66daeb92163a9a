/** The conditions of `when` and of `post`. */
class Conditions {
    private static final Map<String, Closure<Boolean>> POSTS = [
        always: { now, before -> true },
        changed: { now, before -> before != null && now != before },
        fixed: { now, before -> now == 'SUCCESS' && before in ['FAILURE', 'UNSTABLE'] },
        regression: { now, before -> now != 'SUCCESS' && before == 'SUCCESS' },
        aborted: { now, before -> now == 'ABORTED' },
        failure: { now, before -> now == 'FAILURE' },
        success: { now, before -> now == 'SUCCESS' },
        unstable: { now, before -> now == 'UNSTABLE' },
        unsuccessful: { now, before -> now != 'SUCCESS' },
        cleanup: { now, before -> true },
    ]
    private final Build build
    private final Steps steps

    Conditions(Build build, Steps steps) {
        this.build = build
        this.steps = steps
    }

    /** The blocks to be run, in the reference's order. */
    static Map<String, Closure> posts(Map blocks, List<String> order, String now, String before) {
        order.findAll { blocks[it] && POSTS[it](now, before) }.collectEntries { [it, blocks[it]] }
    }

    boolean all(List<Map> conditions) {
        conditions.findAll { !(it.name in build.reference.when_flags) }.every { holds(it) }
    }

    private boolean holds(Map condition) {
        Object given = condition.given ? condition.given[0] : null
        List<Map> nested = condition.content instanceof List && condition.name in ['not', 'allOf', 'anyOf'] ? condition.content as List : []
        switch (condition.name) {
            case 'allOf': return all(nested)
            case 'anyOf': return nested.any { holds(it) }
            case 'not': return !holds(nested[0])
            case 'expression': return steps.run(condition.content as Closure) ? true : false
            case 'environment': return steps.environment[given.name] == given.value
            case 'equals': return given.expected == given.actual
            case 'branch': return steps.environment.BRANCH_NAME == given
            case 'triggeredBy': return build.asked.cause == given
        }
        throw new StepFailed("this runner can't tell the condition ${condition.name}")
    }
}
