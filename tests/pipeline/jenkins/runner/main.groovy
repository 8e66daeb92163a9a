import groovy.json.JsonOutput
import groovy.json.JsonSlurper

Map reference = new JsonSlurper().parse(getClass().getResource('/reference.json')) as Map
if (args[0] == 'check') {
    println JsonOutput.toJson(args.drop(1).collectEntries { [it, new Checker(reference).check(new File(it).text)] })
    return
}
Map asked = new JsonSlurper().parse(new File(args[1])) as Map
System.exit(args[0] == 'serve' ? new Controller(asked, reference).serve() : new Build(asked, reference).run())
