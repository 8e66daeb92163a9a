/** A step did not do what was asked. Ends as FAILURE. */
class StepFailed extends RuntimeException {
    StepFailed(String why) { super(why) }
}
