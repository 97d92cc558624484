//! The load that a call makes on the machine besides the gateway, without a gateway: peers are measured beside it.
//!
//! A gateway shares its processors' caches with whoever plays the room and the meeting. A peer that ran alone would be
//! spared what the gateway is not.

use super::meeting::{Meeting, Role};
use super::player::{Player, Track};
use crate::measure::Bench;
use crate::settings::TILES;
use crate::streams;
use crate::under_test::meeting;
use anyhow::{Context, Result, ensure};
use meet_sim::{Config, MeetingConfig, Simulator};
use std::net::UdpSocket;

/// A meeting of eight, somebody who takes all their pictures as the gateway does, and a room's stream to nobody. Ends when dropped.
pub struct Neighbours {
    people: Meeting,
    _watchers: Meeting,
    _room: Player,
    _nobody: UdpSocket,
    _simulator: Simulator,
}

impl Neighbours {
    /// Lets them all begin.
    ///
    /// # Errors
    /// If the simulator does not start or somebody cannot join.
    pub fn gather(bench: &Bench) -> Result<Self> {
        let simulator = Simulator::start(Config {
            meetings: vec![MeetingConfig::new(&meeting(0))],
            ..Config::default()
        })?;
        let page = simulator.addresses().http;
        let people = Meeting::gather(page, &meeting(0), bench.people("main.ivf")?)?;
        let devices = simulator.participants(&meeting(0)).into_iter().map(|one| one.device);
        let watch = |participant| Role::Watches { participant, layer: "high" };
        let watchers: Vec<Role> = devices.map(watch).collect();
        ensure!(watchers.len() == TILES, "{} of {TILES} people are in the meeting", watchers.len());
        let watchers = Meeting::gather(page, &meeting(0), watchers)?;
        let nobody = UdpSocket::bind("127.0.0.1:0").context("a port for what nobody reads")?;
        let pictures =
            bench.clips.room("room.h264")?.iter().map(|unit| streams::h264_payloads(unit)).collect();
        let room = Player::start(vec![Track { pictures, payload_type: 97, to: nobody.local_addr()? }])?;
        Ok(Self { people, _watchers: watchers, _room: room, _nobody: nobody, _simulator: simulator })
    }

    /// Whether they are still at it.
    #[must_use]
    pub fn are_there(&self) -> bool {
        self.people.is_alive()
    }
}
