//! Waiting for an answer from a task that may end at any moment.

use tokio::sync::{mpsc, oneshot};

/// The answer to something that was sent on `way`; `None` when the task is gone without one.
///
/// Waiting for the answer alone could last for ever: what is sent while the task drops its end of
/// the channel may stay in there, and the way to answer with it, for as long as anybody can send.
pub(crate) async fn answered<O, A>(way: &mpsc::Sender<O>, mut answer: oneshot::Receiver<A>) -> Option<A> {
    tokio::select! {
        biased;
        answer = &mut answer => return answer.ok(),
        () = way.closed() => {}
    }
    // It may have come between the two.
    answer.try_recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_that_nobody_takes_is_not_waited_for() {
        let (way, orders) = mpsc::channel::<oneshot::Sender<u8>>(1);
        let (reply, answer) = oneshot::channel();
        // A place is taken before the task ends and used after it: the order stays in the channel.
        let place = way.reserve().await.unwrap();
        drop(orders);
        place.send(reply);
        assert_eq!(answered(&way, answer).await, None);
    }

    #[tokio::test]
    async fn an_answer_given_before_the_end_counts() {
        let (way, orders) = mpsc::channel::<()>(1);
        let (reply, answer) = oneshot::channel();
        reply.send(7).unwrap();
        drop(orders);
        assert_eq!(answered(&way, answer).await, Some(7));
    }
}
