import java.util.zip.ZipInputStream

/** Credentials by their ids, as the configuration as code has them; bound for as long as a block runs. */
class Credentials {
    private static final Map<String, String> KIND_OF_BINDING = [usernamePassword: 'usernamePassword', string: 'string', file: 'file', zip: 'file']
    private final Map known
    private final File home
    private final List<File> files = []

    Credentials(Map known, File home) {
        this.known = known
        this.home = home
    }

    /** The variables of one binding, and the values that the log must not show. */
    Map bind(Map binding) {
        Map found = known[binding.credentialsId] as Map
        if (!found) { throw new StepFailed("Could not find credentials entry with ID '${binding.credentialsId}'") }
        if (found.kind != KIND_OF_BINDING[binding.kind]) { throw new StepFailed("Credentials '${binding.credentialsId}' is of type '${found.kind}' where '${binding.kind}' was expected") }
        switch (binding.kind) {
            case 'usernamePassword':
                return [variables: [(binding.usernameVariable): found.username, (binding.passwordVariable): found.password], secrets: [found.password]]
            case 'string':
                return [variables: [(binding.variable): found.secret], secrets: [found.secret]]
        }
        File place = written(found, binding.kind == 'zip')
        [variables: [(binding.variable): place.path], secrets: [place.path]]
    }

    void forget() { files.each { it.deleteDir() } }

    private File written(Map found, boolean isZip) {
        File folder = new File(home, "secretFiles/${UUID.randomUUID()}")
        folder.mkdirs()
        files << folder
        byte[] bytes = Base64.decoder.decode(found.secretBytes as String)
        if (!isZip) {
            File file = new File(folder, found.fileName as String)
            file.bytes = bytes
            return file
        }
        ZipInputStream archive = new ZipInputStream(new ByteArrayInputStream(bytes))
        for (def entry = archive.nextEntry; entry; entry = archive.nextEntry) { new File(folder, entry.name).bytes = archive.readAllBytes() }
        folder
    }
}
