import com.sun.net.httpserver.HttpServer
import com.sun.net.httpserver.HttpExchange
import groovy.json.JsonSlurper

import java.security.MessageDigest
import java.util.concurrent.LinkedBlockingQueue
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec

/**
 * As much of a Jenkins as a push needs: the job that Job DSL describes, GitHub's webhook with its signature, and builds one
 * after another. Prints its port, and ends after so many builds.
 */
class Controller {
    private final Map asked
    private final Map reference
    private final Map job
    private final LinkedBlockingQueue<Map> queue = new LinkedBlockingQueue<>()

    Controller(Map asked, Map reference) {
        this.asked = asked
        this.reference = reference
        job = new Job(asked.job as String).found
    }

    int serve() {
        HttpServer server = HttpServer.create(new InetSocketAddress('127.0.0.1', 0), 0)
        server.createContext('/github-webhook/') { HttpExchange exchange -> answer(exchange) }
        server.start()
        println "Listening on ${server.address.port}"
        System.out.flush()
        int code = 0
        (asked.builds as int).times { code = new Build(asked + queue.take(), reference).run() }
        server.stop(0)
        code
    }

    private void answer(HttpExchange exchange) {
        byte[] body = exchange.requestBody.bytes
        int status = exchange.requestMethod != 'POST' ? 405 : !isSigned(exchange, body) ? 403 : 200
        if (status == 200) { push(exchange.requestHeaders.getFirst('X-GitHub-Event'), new JsonSlurper().parse(body) as Map) }
        exchange.sendResponseHeaders(status, -1)
        exchange.close()
    }

    private boolean isSigned(HttpExchange exchange, byte[] body) {
        String given = exchange.requestHeaders.getFirst('X-Hub-Signature-256') ?: ''
        Map secret = (asked.credentials as Map)[asked.hookCredential] as Map
        Mac mac = Mac.getInstance('HmacSHA256')
        mac.init(new SecretKeySpec((secret.secret as String).getBytes('UTF-8'), 'HmacSHA256'))
        MessageDigest.isEqual("sha256=${mac.doFinal(body).encodeHex()}".getBytes('UTF-8'), given.getBytes('UTF-8'))
    }

    /** Only a push to the job's repository and branch starts it, and only if its Jenkinsfile has the trigger. */
    private void push(String event, Map payload) {
        boolean isOurs = payload.repository?.clone_url == job.url && payload.ref == "refs/heads/${job.branch}".toString()
        boolean hasTrigger = new File(asked.jenkinsfile as String).text.contains('githubPush()')
        if (event == 'push' && isOurs && hasTrigger) { queue << [environment: asked.environment + [GIT_COMMIT: payload.after]] }
    }
}

/** Reads the one job of a Job DSL script; what it does not know is an error. */
class Job {
    private static final Set<String> BLOCKS = ['pipelineJob', 'definition', 'cpsScm', 'scm', 'git', 'remote']
    private static final Set<String> VALUES = ['description', 'lightweight', 'scriptPath', 'url', 'branch']
    final Map<String, Object> found = [:]

    Job(String script) {
        Script parsed = new GroovyShell(Job.classLoader, new Binding(), new org.codehaus.groovy.control.CompilerConfiguration(scriptBaseClass: DelegatingScript.name)).parse(script)
        (parsed as DelegatingScript).setDelegate(this)
        parsed.run()
    }

    @Override
    Object invokeMethod(String name, Object arguments) {
        List given = arguments as List
        if (name in VALUES) { found[name] = given[0]; return null }
        if (!(name in BLOCKS)) { throw new MissingMethodException(name, Job, given as Object[]) }
        if (name == 'pipelineJob') { found.name = given[0] }
        Closure body = given.last() as Closure
        body.delegate = this
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body.call()
    }
}
