import org.codehaus.groovy.ast.ASTNode
import org.codehaus.groovy.ast.builder.AstBuilder
import org.codehaus.groovy.ast.expr.*
import org.codehaus.groovy.ast.stmt.*
import org.codehaus.groovy.control.CompilePhase

/** Holds a Jenkinsfile against the reference, all of it, also what a run would not reach. Faults are lines of text. */
class Checker {
    final Map reference
    final List<String> faults = []
    private final Set<String> names = []

    Checker(Map reference) { this.reference = reference }

    List<String> check(String text) {
        List<ASTNode> nodes
        try {
            nodes = new AstBuilder().buildFromString(CompilePhase.CONVERSION, false, text)
        } catch (Exception error) {
            return ["not Groovy: ${error.message.readLines().take(3).join(' ')}".toString()]
        }
        List<Statement> statements = (nodes[0] as BlockStatement).statements
        if (statements.size() != 1 || callIn(statements[0])?.name != 'pipeline') {
            fault(statements ? statements[0] : nodes[0], 'the file must be one block: pipeline { }')
            return faults
        }
        pipeline(callIn(statements[0]))
        faults
    }

    private void pipeline(Call top) {
        Map<String, Call> parts = parts(top, reference.pipeline.allowed as List, 'pipeline')
        (reference.pipeline.required as List).findAll { !parts[it] }.each { fault(top.node, "pipeline lacks ${it}") }
        parts.each { name, part -> section(name, part, null) }
    }

    private void stage(Call stage, boolean isInParallel) {
        if (stage.name != 'stage') { fault(stage.node, "only stage is allowed here, not ${stage.name}"); return }
        if (stage.values.size() != 1 || !(stage.values[0] instanceof String)) { fault(stage.node, 'a stage needs one name') }
        String name = stage.values ? stage.values[0] : ''
        if (!names.add(name)) { fault(stage.node, "there are two stages ${name}") }
        Map<String, Call> parts = parts(stage, reference.stage.allowed as List, "stage ${name}")
        List<String> bodies = (reference.stage.bodies as List).findAll { parts[it] }
        if (bodies.size() != 1) { fault(stage.node, "stage ${name} must have one of ${reference.stage.bodies.join(', ')}") }
        if (parts.parallel || parts.matrix) {
            (reference.stage.barred_with_parallel as List).findAll { parts[it] }
                .each { fault(stage.node, "stage ${name} has parallel, and can't have ${it}") }
            if (isInParallel) { fault(stage.node, "stage ${name} is in a parallel, and can't have one") }
        }
        parts.each { part, content -> section(part, content, isInParallel || part == 'parallel') }
    }

    /** `isInParallel` is null for a section of the pipeline itself. */
    private void section(String name, Call part, Boolean isInParallel) {
        switch (name) {
            case 'stages': case 'parallel':
                some(part).each { stage(it, isInParallel ?: false) }; break
            case 'steps': steps(part); break
            case 'post':
                parts(part, reference.post as List, 'post').each { condition, block -> steps(block) }
                some(part); break
            case 'options': options(part, isInParallel != null); break
            case 'agent': agent(part); break
            case 'when': some(part); conditions(part, true); break
            case 'input':
                Map asked = parts(part, reference.input.allowed as List, 'input')
                (reference.input.required as List).findAll { !asked[it] }.each { fault(part.node, "input lacks ${it}") }
                break
            case 'triggers': parts(part, reference.triggers as List, 'triggers'); some(part); break
            case 'parameters': some(part).each { known(it, reference.parameters as Map, 'parameter') }; break
            case 'environment': environment(part); break
            case 'failFast': break
            default: fault(part.node, "this checker does not know ${name}")
        }
    }

    private void steps(Call block) { some(block).each { step(it) } }

    private void step(Call step) {
        Map rule = reference.steps[step.name]
        if (rule == null) { fault(step.node, "there is no step ${step.name}"); return }
        List<String> all = rule.needs + rule.may
        step.named.keySet().findAll { !(it in all) }.each { fault(step.node, "${step.name} has no parameter ${it}") }
        if (step.values && step.values.size() > 1) { fault(step.node, "${step.name} takes one value without a name") }
        // One value without a name is the first parameter.
        Set<String> given = step.named.keySet() + (step.values ? [all[0]] : [])
        (rule.needs as List).findAll { !(it in given) }.each { fault(step.node, "${step.name} lacks ${it}") }
        if (rule.block && !step.body) { fault(step.node, "${step.name} needs a block") }
        if (!rule.block && step.body) { fault(step.node, "${step.name} takes no block") }
        if (step.named.unit && !(step.named.unit in reference.units)) { fault(step.node, "there is no unit ${step.named.unit}") }
        if (step.name == 'withCredentials') { bindings(step) }
        if (step.name == 'sh') { secrets(step) }
        if (step.body) { steps(step) }
    }

    private void bindings(Call step) {
        Expression list = step.raw ? step.raw[0] : null
        if (!(list instanceof ListExpression) || !list.expressions) { fault(step.node, 'withCredentials needs a list'); return }
        (list as ListExpression).expressions.each { each ->
            Call binding = callIn(each)
            List wanted = binding ? reference.bindings[binding.name] as List : null
            if (wanted == null) { fault(each, "there is no binding ${binding?.name ?: each.text}"); return }
            if (binding.named.keySet() as Set != wanted as Set) { fault(each, "${binding.name} takes ${wanted.join(', ')}") }
            if (binding.named.values().any { !(it instanceof String) }) { fault(each, "${binding.name} takes plain texts") }
        }
    }

    /** A secret in a GString is put into the command by Groovy, where every process list shows it. */
    private void secrets(Call step) {
        boolean isMixed = (step.raw + step.rawNamed.values()).any { it instanceof GStringExpression }
        if (isMixed) { fault(step.node, 'sh mixes Groovy into a command: let the shell read its variables') }
    }

    private void options(Call part, boolean isInStage) {
        some(part).each { option ->
            known(option, reference.options as Map, 'option')
            if (isInStage && !(option.name in reference.stage_options)) { fault(option.node, "${option.name} is no option of a stage") }
            if (option.name == 'timeout') {
                if (!option.named.time) { fault(option.node, 'timeout lacks time') }
                if (option.named.unit && !(option.named.unit in reference.units)) { fault(option.node, "there is no unit ${option.named.unit}") }
            }
            option.raw.findAll { it instanceof MethodCallExpression }.each { known(callIn(it), [logRotator: reference.logRotator], 'value') }
        }
        List<String> all = some(part)*.name
        all.findAll { all.count(it) > 1 }.toSet().each { fault(part.node, "option ${it} is here twice") }
    }

    private void agent(Call part) {
        if (part.values.size() == 1 && !part.body) {
            if (!(part.values[0] in ['any', 'none'])) { fault(part.node, "there is no agent ${part.values[0]}") }
            return
        }
        some(part).each { kind ->
            if (!(reference.agent as Map).containsKey(kind.name)) { fault(kind.node, "there is no agent ${kind.name}"); return }
            if (kind.body) { parts(kind, reference.agent[kind.name] as List, "agent ${kind.name}") }
        }
    }

    private void conditions(Call part, boolean isTop) {
        List<Call> all = calls(part)
        List<Call> real = all.findAll { !(it.name in reference.when_flags) }
        if (!real) { fault(part.node, "${part.name} has no condition") }
        if (part.name == 'not' && real.size() > 1) { fault(part.node, 'not takes one condition') }
        all.findAll { it.name in reference.when_flags && !isTop }.each { fault(it.node, "${it.name} belongs into when") }
        real.each { condition ->
            if (!(condition.name in reference.when)) { fault(condition.node, "there is no condition ${condition.name}") }
            if (condition.name in ['not', 'allOf', 'anyOf']) { conditions(condition, false) }
            if (condition.name == 'expression' && !condition.body) { fault(condition.node, 'expression needs a block') }
        }
    }

    private void environment(Call part) {
        part.body.each { statement ->
            Expression assigned = statement instanceof ExpressionStatement ? statement.expression : null
            boolean isPlain = assigned instanceof BinaryExpression && assigned.operation.text == '='
            if (!isPlain) { fault(statement, 'environment holds NAME = value lines only') }
        }
    }

    private void known(Call one, Map allowed, String what) {
        List parameters = allowed[one.name] as List
        if (parameters == null) { fault(one.node, "there is no ${what} ${one.name}"); return }
        one.named.keySet().findAll { !(it in parameters) }.each { fault(one.node, "${one.name} has no parameter ${it}") }
    }

    /** The calls in a block by their names, each allowed and there once. */
    private Map<String, Call> parts(Call block, List allowed, String where) {
        Map<String, Call> found = [:]
        calls(block).each { part ->
            if (!(part.name in allowed)) { fault(part.node, "${where} has no ${part.name}") }
            if (found.containsKey(part.name)) { fault(part.node, "${where} has ${part.name} twice") }
            found[part.name] = part
        }
        found.findAll { it.key in allowed }
    }

    private List<Call> some(Call block) {
        List<Call> found = calls(block)
        if (!found) { fault(block.node, "${block.name} is empty") }
        found
    }

    private List<Call> calls(Call block) {
        if (block.body == null) { fault(block.node, "${block.name} needs a block"); return [] }
        block.body.collect { statement ->
            Call found = callIn(statement)
            if (!found) { fault(statement, "${block.name} holds what is no call: ${statement.text}") }
            found
        }.findAll()
    }

    private void fault(ASTNode node, String what) { faults << "${node.lineNumber}: ${what}".toString() }

    static Call callIn(ASTNode node) {
        ASTNode inner = node instanceof ExpressionStatement || node instanceof ReturnStatement ? node.expression : node
        inner instanceof MethodCallExpression ? new Call(inner) : null
    }
}

/** One call: its name, its arguments with and without names, and the statements of its closure (null: there is none). */
class Call {
    final MethodCallExpression node
    final String name
    final List values = []
    final List<Expression> raw = []
    final Map<String, Object> named = [:]
    final Map<String, Expression> rawNamed = [:]
    List<Statement> body

    Call(MethodCallExpression node) {
        this.node = node
        name = node.methodAsString
        Expression arguments = node.arguments
        (arguments instanceof TupleExpression ? arguments.expressions : [arguments]).each { take(it) }
    }

    private void take(Expression each) {
        if (each instanceof ClosureExpression) {
            body = (each.code as BlockStatement).statements
        } else if (each instanceof MapExpression) {
            each.mapEntryExpressions.each { entry ->
                named[entry.keyExpression.text] = value(entry.valueExpression)
                rawNamed[entry.keyExpression.text] = entry.valueExpression
            }
        } else {
            values << value(each)
            raw << each
        }
    }

    private static Object value(Expression given) {
        given instanceof ConstantExpression ? given.value : given instanceof VariableExpression ? given.name : given
    }
}
