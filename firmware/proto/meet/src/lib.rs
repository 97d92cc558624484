//! Conference connectors: how the box joins a meeting, whoever runs it.
//!
//! ```text
//!  Join + ConnectorContext ─▶ Connector ─▶ ConferenceLeg ─▶ LegEvent, LegEffect, HttpRequest
//!                                              ▲ LegInput, HttpReply
//! ```
//!
//! A connector makes legs; a leg is a [`Machine`] behind the port of [`base::leg`] that also wants HTTP requests made. The set is closed: another
//! conference is one module, one arm of [`Connectors`] and one of [`ConferenceLeg`]. So far there is [`interop`], our own
//! protocol (PROTOCOL.md in this folder). It is not Google's gateway protocol, which is private.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

pub mod interop;

use base::leg::{Caps, HttpReply, HttpRequest, Join, Leg, LegEffect, LegEvent, LegInput, StreamStats};
use base::{Cause, Machine, Output, Seed};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a leg is made with, besides what it joins.
#[derive(Debug, Clone, Copy)]
pub struct ConnectorContext {
    /// The address of the leg's one media socket, [`Port(0)`](base::leg::Port); a host address, not `0.0.0.0`.
    pub bound: SocketAddr,
    /// What that address looks like from outside, behind a NAT with a fixed mapping.
    pub public: Option<SocketAddr>,
    /// Begin of the box's media clock.
    pub epoch: Instant,
    /// The time of day at `epoch`, since 1970: tokens bear dates.
    pub unix_at_epoch: Duration,
    /// The leg's randomness.
    pub seed: Seed,
}

/// A way to join meetings.
pub trait Connector {
    /// What its legs can do.
    fn caps(&self) -> Caps;

    /// A leg that joins as told. It begins with its first step: take [`LegInput::Timeout`] to it at once.
    ///
    /// # Errors
    /// A [`Cause`] if it can't even begin: the socket's address is of no use, or the gateway token signs nothing.
    fn join(&self, now: Instant, join: Join, context: ConnectorContext) -> Result<ConferenceLeg, Cause>;
}

/// The connectors there are.
#[derive(Debug, Clone)]
pub enum Connectors {
    /// Our own protocol.
    Interop(interop::Config),
}

/// A leg towards a conference.
#[derive(Debug)]
pub enum ConferenceLeg {
    /// Our own protocol.
    Interop(Box<interop::Leg>),
}

/// What a conference leg takes.
#[derive(Debug)]
pub enum Input<'a> {
    /// What every leg takes.
    Leg(LegInput<'a>),
    /// An HTTP answer.
    Http(HttpReply),
}

/// What a conference leg does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// What every leg does.
    Leg(LegEffect),
    /// An HTTP request; its reply comes back as [`Input::Http`].
    Http(HttpRequest),
}

impl Connector for Connectors {
    fn caps(&self) -> Caps {
        match self {
            Connectors::Interop(config) => config.caps(),
        }
    }

    fn join(&self, now: Instant, join: Join, context: ConnectorContext) -> Result<ConferenceLeg, Cause> {
        match self {
            Connectors::Interop(config) => config.join(now, join, context),
        }
    }
}

impl Machine for ConferenceLeg {
    type Input<'a> = Input<'a>;
    type Effect = Effect;
    type Event = LegEvent;

    fn step(
        &mut self,
        now: Instant,
        input: Input<'_>,
        sink: impl FnMut(Output<Effect, LegEvent>),
    ) -> Option<Instant> {
        match self {
            ConferenceLeg::Interop(leg) => leg.step(now, input, sink),
        }
    }
}

impl Leg for ConferenceLeg {
    fn caps(&self) -> Caps {
        match self {
            ConferenceLeg::Interop(leg) => leg.caps(),
        }
    }

    fn stats(&self) -> Vec<StreamStats> {
        match self {
            ConferenceLeg::Interop(leg) => leg.stats(),
        }
    }
}
