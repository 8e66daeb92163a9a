/** The build's log; the secrets that are bound at the moment are shown as asterisks in it, in every branch. */
class Log {
    final List<String> lines = Collections.synchronizedList([])
    private final Map<String, Integer> secrets = [:]
    private final ThreadLocal<String> branch = new ThreadLocal<>()
    private final Closure listener

    Log(Closure listener) { this.listener = listener }

    void say(Object text) {
        String line = masked(text.toString())
        String shown = branch.get() ? "[${branch.get()}] ${line}" : line
        lines << shown
        System.out.println(shown)
        listener(shown)
    }

    void branch(String name, Closure body) {
        String before = branch.get()
        branch.set(name)
        try { body() } finally { branch.set(before) }
    }

    String branchName() { branch.get() }

    Object masking(Collection<String> values, Closure body) {
        synchronized (secrets) { values.findAll().each { secrets[it] = (secrets[it] ?: 0) + 1 } }
        try {
            return body()
        } finally {
            synchronized (secrets) { values.findAll().each { if (--secrets[it] == 0) { secrets.remove(it) } } }
        }
    }

    private String masked(String text) {
        List<String> known
        synchronized (secrets) { known = secrets.keySet().sort { -it.length() } }
        known.inject(text) { String all, String secret -> all.replace(secret, '****') }
    }
}
