//! The running gateway's side of the control socket.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::client::to_line;
use super::socket::{ControlSocket, SocketFile};
use super::{Outcome, Request, Service};

/// Commands at a time; more wait to be accepted.
const CLIENTS_MAX: usize = 8;
/// The longest request, in bytes, with its newline.
const REQUEST_MAX: u64 = 4096;
/// How long a client may take for a request, and to take the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long what has begun may take at the end.
const LAST_COMMANDS: Duration = Duration::from_secs(2);
/// Before another attempt where the system has no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The task that answers commands. Dropped, it ends soon.
#[derive(Debug)]
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Takes no more commands; returns when those that have begun are done.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        // A panic has been told.
        let _ended = self.task.await;
    }
}

/// Answers commands on the current runtime.
pub(crate) fn start(socket: ControlSocket, service: Arc<Service>) -> io::Result<Running> {
    let (stop, stopped) = oneshot::channel();
    let ControlSocket { listener, file } = socket;
    let task = tokio::spawn(serve(UnixListener::from_std(listener)?, file, service, stopped));
    Ok(Running { stop, task })
}

async fn serve(listener: UnixListener, file: SocketFile, service: Arc<Service>, mut stopped: oneshot::Receiver<()>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = clients.join_next() => {}
            accepted = listener.accept(), if clients.len() < CLIENTS_MAX => match accepted {
                Ok((stream, _)) => {
                    let service = Arc::clone(&service);
                    clients.spawn(async move {
                        if let Err(error) = client(stream, service).await {
                            debug!(%error, "a command's connection ended early");
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept a command");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    drop(file);
    let all = async { while clients.join_next().await.is_some() {} };
    let _in_time = tokio::time::timeout(LAST_COMMANDS, all).await;
    // Others may not have the database before the last command is done.
    drop(service);
}

/// Answers requests until there are no more.
async fn client(stream: UnixStream, service: Arc<Service>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut stream).take(REQUEST_MAX);
        let read = bounded.read_until(b'\n', &mut line);
        if tokio::time::timeout(CLIENT_TIMEOUT, read).await?? == 0 {
            return Ok(());
        }
        let is_whole = line.last() == Some(&b'\n');
        let outcome = match serde_json::from_slice::<Request>(&line) {
            Ok(request) if is_whole => execute(Arc::clone(&service), request).await,
            _ if !is_whole => Outcome::Refused("the gateway got no whole command".into()),
            _ => Outcome::Refused("the gateway does not know this command; it may be of another version".into()),
        };
        let answer: Zeroizing<Vec<u8>> = to_line(&outcome)?;
        tokio::time::timeout(CLIENT_TIMEOUT, stream.write_all(&answer)).await??;
        if !is_whole {
            return Ok(());
        }
    }
}

/// In a thread of its own: it waits for the disk.
async fn execute(service: Arc<Service>, request: Request) -> Outcome {
    match tokio::task::spawn_blocking(move || service.execute(request)).await {
        Ok(Ok(answer)) => Outcome::Done(answer),
        Ok(Err(error)) => Outcome::Refused(error.to_string()),
        Err(_) => Outcome::Refused("the gateway failed at it".into()),
    }
}
