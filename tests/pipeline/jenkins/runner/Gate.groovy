/** The `input` directive: somebody says yes or no, or nobody does until the stage's time is over. */
class Gate {
    private final Build build

    Gate(Build build) { this.build = build }

    /** What the submission adds to the environment. */
    Map<String, String> pass(String stage, Map wanted, Scope scope) {
        build.log.say("Input requested: ${wanted.message}")
        Map answer = build.asked.input as Map ?: [answer: 'wait']
        String by = answer.by ?: 'somebody'
        if (answer.answer == 'wait') { scope.inside { while (true) { scope.check(); Thread.sleep(20) } } }
        List<String> may = (wanted.submitter ?: '').toString().tokenize(',')*.trim()
        if (may && !(by in may)) { throw new StepFailed("${by} may not answer the input of ${stage}") }
        if (answer.answer == 'no') { throw new Stopped("Rejected by ${by}") }
        build.log.say("Approved by ${by}")
        wanted.submitterParameter ? [(wanted.submitterParameter.toString()): by] : [:]
    }
}
