//! The way between the engine and a worker that is a process: a stream socket, written and read without waiting.
//!
//! ```text
//!  put ─▶ Queue: a full one drops its oldest frame ─flush─▶ bytes ─▶ kernel ─▶ bytes ─▶ take
//! ```
//! Both ends are the same, with what they send and what they take exchanged. What the kernel has no room for stays in the queue, so
//! that a worker that is too slow loses frames, and its engine nothing else.

use media_dsp::queue::Queue;
use media_dsp::wire::{self, Malformed, Message, Reader};
use std::io::{ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use tracing::warn;

/// So many bytes are made of what is queued before they are written; a longer message is written alone.
const CHUNK: usize = 64 * 1024;

/// Why nothing more goes either way.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The other end is closed.
    #[error("it is gone")]
    Closed,
    /// What the other end wrote can't be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The kernel failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// One end, which sends `O` and takes `I`.
pub struct Pipe<O, I> {
    stream: UnixStream,
    queue: Queue<O>,
    /// Bytes of messages that left the queue, and how many of them the kernel has.
    bytes: Vec<u8>,
    written: usize,
    reader: Reader,
    takes: PhantomData<I>,
}

impl<O: Message, I: Message> Pipe<O, I> {
    /// The end that is `stream`.
    ///
    /// # Errors
    /// If the kernel does not let it be used without waiting.
    pub fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            queue: Queue::default(),
            bytes: Vec::new(),
            written: 0,
            reader: Reader::default(),
            takes: PhantomData,
        })
    }

    /// Takes a message, which [`flush`](Self::flush) sends; false if too much waits that must not be dropped.
    pub fn put(&mut self, message: O) -> bool {
        self.queue.put(message)
    }

    /// Sends what was put, as far as the kernel has room. What is left is told by [`is_flushed`](Self::is_flushed).
    ///
    /// # Errors
    /// [`Broken`]: nothing will be sent any more.
    pub fn flush(&mut self) -> Result<(), Broken> {
        loop {
            if self.written == self.bytes.len() && !self.fill() {
                return Ok(());
            }
            match self.stream.write(&self.bytes[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(Broken::Closed),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// All that was put is with the kernel.
    pub fn is_flushed(&self) -> bool {
        self.queue.is_empty() && self.written == self.bytes.len()
    }

    /// The next message. After `None` the kernel tells when there is more.
    ///
    /// # Errors
    /// [`Broken`]: nothing will come any more.
    pub fn take(&mut self) -> Result<Option<I>, Broken> {
        loop {
            if let Some(message) = self.reader.message()? {
                return Ok(Some(message));
            }
            // A read that came short is followed by another: what ends the stream may have come with it, and is not told again.
            match self.stream.read(self.reader.room()) {
                Ok(0) => return Err(Broken::Closed),
                Ok(count) => self.reader.filled(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(Broken::Closed),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads and throws away what comes, until nothing more does; whether the other end is closed.
    pub fn discard(&mut self) -> bool {
        let mut scrap = [0; 4096];
        loop {
            match self.stream.read(&mut scrap) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    /// Another message is here already.
    pub fn is_ready(&self) -> bool {
        self.reader.is_ready()
    }

    /// How many frames were dropped because the other end was too slow.
    pub const fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Makes bytes of what is queued; false if nothing is.
    fn fill(&mut self) -> bool {
        self.bytes.clear();
        self.bytes.shrink_to(2 * CHUNK);
        self.written = 0;
        while self.bytes.len() < CHUNK {
            let Some(message) = self.queue.pop() else { break };
            if let Err(error) = wire::write(&message, &mut self.bytes) {
                warn!(%error, "what a media worker is told, or tells, is dropped");
            }
        }
        !self.bytes.is_empty()
    }
}

impl<O, I> AsFd for Pipe<O, I> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Codec, EncodedFrame, MediaTime};
    use media_dsp::{Command, Report, SinkId, SourceId};

    type Engine = Pipe<Command, Report>;
    type Worker = Pipe<Report, Command>;

    fn pair() -> (Engine, Worker) {
        let (one, other) = UnixStream::pair().expect("a pair of sockets");
        (Pipe::new(one).expect("an end"), Pipe::new(other).expect("an end"))
    }

    fn frame(number: u64, bytes: usize) -> Command {
        let at = MediaTime(number);
        let data = vec![0; bytes].into();
        let frame =
            EncodedFrame { codec: Codec::Vp8, captured: at, arrived: at, key: true, contiguous: true, data };
        Command::Frame { source: SourceId(1), frame }
    }

    fn all(worker: &mut Worker) -> Vec<Command> {
        std::iter::from_fn(|| worker.take().expect("an open pipe")).collect()
    }

    #[test]
    fn what_was_put_together_comes_together_and_in_order() {
        let (mut engine, mut worker) = pair();
        assert!(worker.take().expect("an open pipe").is_none());
        let sent: Vec<Command> = (0..20).map(|n| frame(n, 500)).collect();
        sent.iter().for_each(|command| assert!(engine.put(command.clone())));
        assert!(worker.take().expect("an open pipe").is_none(), "nothing is sent before it is flushed");
        engine.flush().expect("an open pipe");
        assert!(engine.is_flushed());
        assert_eq!(all(&mut worker), sent);
    }

    #[test]
    fn a_worker_that_is_too_slow_loses_the_oldest_frames_and_no_step() {
        let (mut engine, mut worker) = pair();
        let key = |n| Command::ForceKey { sink: SinkId(n) };
        for n in 0..1_000 {
            engine.put(frame(n, 4_000));
            if n % 100 == 0 {
                engine.put(key(n));
            }
            engine.flush().expect("an open pipe");
        }
        assert!(!engine.is_flushed());
        let mut came = Vec::new();
        while !engine.is_flushed() {
            came.extend(all(&mut worker));
            engine.flush().expect("an open pipe");
        }
        came.extend(all(&mut worker));
        let keys = came.iter().filter(|command| matches!(command, Command::ForceKey { .. })).count();
        assert_eq!(keys, 10);
        assert_eq!(came.len() as u64, 1_010 - engine.dropped());
        assert!(engine.dropped() > 500, "{} dropped", engine.dropped());
        let newest = came.iter().rev().find(|command| matches!(command, Command::Frame { .. }));
        assert_eq!(newest, Some(&frame(999, 4_000)));
        let holes = came
            .iter()
            .filter(|command| matches!(command, Command::Frame { frame, .. } if !frame.contiguous));
        assert!(holes.count() >= 1, "who reads is told that frames are missing");
    }

    #[test]
    fn an_end_that_is_gone_is_told_after_the_last_that_it_sent() {
        let (mut engine, mut worker) = pair();
        worker.put(Report::Alive);
        worker.flush().expect("an open pipe");
        drop(worker);
        assert_eq!(engine.take().expect("its last report"), Some(Report::Alive));
        assert!(
            matches!(engine.take(), Err(Broken::Closed)),
            "it need not be told twice that there is something to read"
        );
        engine.put(Command::ForceKey { sink: SinkId(1) });
        assert!(matches!(engine.flush(), Err(Broken::Closed)));
    }

    #[test]
    fn nonsense_breaks_the_pipe() {
        let (one, mut other) = UnixStream::pair().expect("a pair of sockets");
        let mut engine = Engine::new(one).expect("an end");
        other.write_all(&[0xff; 64]).expect("written");
        assert!(matches!(engine.take(), Err(Broken::Malformed(_))));
    }
}
