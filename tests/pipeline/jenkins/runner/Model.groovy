/** The Jenkinsfile as Jenkins models it before anything runs: the steps are closures that are called later. */
class Model {
    final Map<String, Object> top

    Model(File file, Closure<Object> lookup) {
        Section pipeline = new Section('pipeline')
        Binding binding = new Binding() {
            @Override
            Object getVariable(String name) { lookup(name) }
        }
        Script script = new GroovyShell(Model.classLoader, binding, configuration()).parse(file)
        (script as DelegatingScript).setDelegate(new Top(pipeline))
        script.run()
        top = pipeline.found
    }

    private static Object configuration() {
        new org.codehaus.groovy.control.CompilerConfiguration(scriptBaseClass: DelegatingScript.name)
    }
}

/** Reads one block: each call in it becomes an entry. Blocks of steps, posts and conditions are kept as they are. */
class Section {
    private static final Set<String> LATER = ['steps', 'expression']
    private static final Set<String> LISTS = ['stages', 'parallel', 'options', 'when', 'not', 'allOf', 'anyOf']
    final String name
    final Map<String, Object> found = [:]
    final List<Map> listed = []

    Section(String name) { this.name = name }

    Section read(Closure body) {
        body.delegate = this
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body.call()
        this
    }

    @Override
    Object invokeMethod(String called, Object arguments) {
        List given = arguments as List
        Closure body = given && given.last() instanceof Closure ? given.last() : null
        List rest = body ? given.dropRight(1) : given
        Object content = body == null ? rest : called in LATER || name == 'post' ? body : inner(called, body)
        if (name in LISTS) { listed << [name: called, given: rest, content: content] }
        found[called] = body == null && rest.size() == 1 ? rest[0] : content
        null
    }

    private static Object inner(String called, Closure body) {
        Section section = new Section(called).read(body)
        called in LISTS ? section.listed : section.found
    }

    @Override
    Object getProperty(String called) {
        called in ['name', 'found', 'listed'] ? getMetaClass().getProperty(this, called) : called
    }
}

class Top {
    private final Section section

    Top(Section section) { this.section = section }

    void pipeline(Closure body) { section.read(body) }
}
