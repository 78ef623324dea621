//! Acknowledgements come first: transforms give way to intake where both want the processors.

/// How much nicer than the rest a transform thread is (0 to 19).
const NICE: i32 = 10;

/// Lowers the priority of the calling thread. Where the system refuses, nothing is lost but some
/// evenness of answers under load.
pub(crate) fn give_way() {
    let thread = rustix::thread::gettid();
    if rustix::process::setpriority_process(Some(thread), NICE).is_err() {
        tracing::debug!("the priority of a transform thread could not be lowered");
    }
}
