//! Decisions are made to their end, though whoever asked may have gone: what is durable must have its
//! effect. They read the journal, so they do not run where others wait.

use router::operators::OperatorError;
use tokio::runtime::Handle as Runtime;

use crate::refusal::Refusal;

/// Decides to the end.
pub(crate) async fn to_the_end<T: Send + 'static>(
    decide: impl Future<Output = Result<T, OperatorError>> + Send + 'static,
) -> Result<T, Refusal> {
    let runtime = Runtime::current();
    match tokio::task::spawn_blocking(move || runtime.block_on(decide)).await {
        Ok(decided) => Ok(decided?),
        Err(_) => Err(Refusal::unavailable("the decision was broken off: look at the audit")),
    }
}
