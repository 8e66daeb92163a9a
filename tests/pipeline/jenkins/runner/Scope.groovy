/** What can be stopped together: the threads and processes of a build, of a branch, of the body of a timeout. */
class Scope {
    final Scope parent
    private final Set<Process> processes = [] as Set
    private final Set<Thread> threads = [] as Set
    private volatile String why

    Scope(Scope parent) { this.parent = parent }

    /** The reason why this must end, or null. */
    String stopped() { why ?: parent?.stopped() }

    void check() {
        String reason = stopped()
        if (reason) { throw new Stopped(reason) }
    }

    void stop(String reason) {
        synchronized (this) {
            why = why ?: reason
            processes.each { end(it) }
            threads.each { it.interrupt() }
        }
    }

    Object inside(Closure body) {
        Thread me = Thread.currentThread()
        each { it.threads << me }
        try {
            body.call()
        } catch (InterruptedException interrupted) {
            throw new Stopped(stopped() ?: 'interrupted')
        } finally {
            each { it.threads.remove(me) }
            Thread.interrupted()
        }
    }

    int await(Process process) {
        each { it.processes << process }
        try {
            if (stopped()) { end(process) }
            return process.waitFor()
        } finally {
            each { it.processes.remove(process) }
        }
    }

    private void each(Closure act) {
        for (Scope scope = this; scope; scope = scope.parent) { synchronized (scope) { act(scope) } }
    }

    /** The whole group: a shell's children go with it, as Jenkins's own killer has it. */
    private static void end(Process process) {
        new ProcessBuilder('kill', '-TERM', '--', "-${process.pid()}".toString()).start().waitFor()
    }
}
