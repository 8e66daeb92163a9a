/** A build, a branch or a body was stopped: by somebody, by a timeout, by a no. Ends as ABORTED. */
class Stopped extends RuntimeException {
    Stopped(String why) { super(why) }
}
