//! What flows in a call: from what both legs send and take, who speaks and how much the net carries, to one plan.

use super::bandwidth::{Shares, share};
use super::{Call, CallEffect, CallEvent, Leg, Phase};
use crate::layout;
use crate::media::{Composition, Down, Ladder, Layer, MediaPlan, Side, Sound, Up};
use crate::routing::CallType;
use base::frame::{MediaKind, Size};
use base::ids::{ParticipantId, StreamId};
use base::leg::{LegCommand, RecvStream, SendStream, Watch};
use base::machine::Output;
use base::{Codec, limits};
use std::time::Instant;

/// Largest picture composed for a room.
const CANVAS: Size = Size::HD720;
/// Most sizes of one picture sent to a conference.
const LADDER: usize = 3;

impl Call {
    /// Tells the plan and whom to watch, where they changed; the answer is when to come back for the next speaker.
    pub(super) fn replan(
        &mut self,
        now: Instant,
        out: &mut dyn FnMut(Output<CallEffect, CallEvent>),
    ) -> Option<Instant> {
        if let Some(plan) = self.attended() {
            self.tell_plan(plan, out);
            return None;
        }
        if !matches!(self.phase, Phase::Connecting { .. } | Phase::Connected) {
            return None;
        }
        let streams = &self.conference.media.recv;
        let layout = self.seen.layout;
        let shown =
            |who: &ParticipantId| pictures(streams).any(|stream| stream.participant.as_ref() == Some(who));
        let again = self.seen.seating.advance(now, layout, shown);
        let watch = self.watch();
        if watch != self.seen.watch {
            self.seen.watch.clone_from(&watch);
            out(Output::Effect(CallEffect::Leg(Side::Conference, LegCommand::Watch(watch))));
        }
        let down = self.down_from(&self.conference);
        self.tell_plan(MediaPlan { up: self.up(), down, ..MediaPlan::default() }, out);
        again
    }

    fn tell_plan(&mut self, plan: MediaPlan, out: &mut dyn FnMut(Output<CallEffect, CallEvent>)) {
        if plan != self.seen.plan {
            self.seen.plan = plan.clone();
            out(Output::Effect(CallEffect::Media(plan)));
        }
    }

    fn call_type(&self) -> CallType {
        self.rule().map_or(CallType::Auto, |rule| rule.call_type)
    }

    fn up(&self) -> Up {
        let (to, from) = (&self.conference, &self.caller);
        let source = pictures(&from.media.recv).next();
        let mut ladder = if source.is_some() { self.sent_pictures(to) } else { Vec::new() };
        ladder.sort_by_key(|stream| stream.max_size.area());
        ladder.truncate(LADDER);
        let before: Vec<_> = self
            .seen
            .plan
            .up
            .picture
            .iter()
            .flat_map(|ladder| &ladder.layers)
            .map(|layer| layer.bps)
            .collect();
        let sound = sent_sound(to);
        let estimate = if ladder.is_empty() { sound_alone(to.sound_loss) } else { to.bandwidth };
        let budget = estimate.unwrap_or(limits::CONFERENCE_BPS).min(limits::CONFERENCE_BPS);
        let shares = share(budget, sound, &ladder, &before);
        let picture = source.zip(ladder.first().copied()).map(|(source, first)| Ladder {
            source: source.id,
            codec: first.codec,
            max_fps: first.max_fps,
            layers: layers(&ladder, first.codec, &shares),
        });
        Up { sound: sound_flow(sound, (from, to), &shares), picture }
    }

    /// What the caller is sent of what `from` sends.
    pub(super) fn down_from(&self, from: &Leg) -> Down {
        let to = &self.caller;
        let pictures = self.sent_pictures(to);
        let largest = pictures.into_iter().max_by_key(|stream| stream.max_size.area());
        let before: Vec<_> = self.seen.plan.down.picture.iter().map(|picture| picture.bps).collect();
        let sound = sent_sound(to);
        let limit = self.rule().and_then(|rule| rule.max_out_bps);
        let budget = to.bandwidth.unwrap_or(u64::from(u32::MAX)).min(limit.unwrap_or(u64::MAX));
        let shares = share(budget, sound, largest.as_slice(), &before);
        let bps = shares.pictures.first().copied().unwrap_or(0);
        let place = largest.map(|stream| (stream, canvas(stream.max_size)));
        let picture =
            place.filter(|(_, canvas)| bps > 0 && canvas.area() > 0).map(|(stream, canvas)| Composition {
                sink: stream.id,
                codec: stream.codec,
                canvas,
                max_fps: stream.max_fps,
                bps,
                max_nal_bytes: stream.max_nal_bytes,
                tiles: layout::plan(self.seen.layout, canvas, &self.shown(&from.media.recv)),
                indicators: self.seen.indicators,
            });
        Down { sound: sound_flow(sound, (from, to), &shares), picture }
    }

    fn sent_pictures<'l>(&self, to: &'l Leg) -> Vec<&'l SendStream> {
        match self.call_type() {
            CallType::Audio => Vec::new(),
            CallType::Video | CallType::Auto => {
                to.media.send.iter().filter(|stream| stream.kind == MediaKind::Video).collect()
            }
        }
    }

    /// Whose pictures stand in which order: the seated ones that are coming in, then those nobody is known for.
    fn shown(&self, streams: &[RecvStream]) -> Vec<(StreamId, Option<ParticipantId>)> {
        let of =
            |who: &ParticipantId| pictures(streams).find(|stream| stream.participant.as_ref() == Some(who));
        let seated = self.seen.seating.seats().iter().filter_map(of);
        let known = |who: &ParticipantId| self.seen.roster.iter().any(|person| person.id == *who);
        let nobodys = pictures(streams).filter(|stream| !stream.participant.as_ref().is_some_and(known));
        let all = seated.chain(nobodys).map(|stream| (stream.id, stream.participant.clone()));
        all.take(limits::CONFERENCE_VIDEOS).collect()
    }

    /// Whose pictures are wanted and how large: those seated, in their places. Nobody's while the room takes none.
    fn watch(&self) -> Vec<Watch> {
        let largest = self
            .sent_pictures(&self.caller)
            .into_iter()
            .map(|stream| stream.max_size)
            .max_by_key(|s| s.area());
        let Some(largest) = largest else { return Vec::new() };
        let seats = self.seen.seating.seats();
        let places = layout::places(self.seen.layout, canvas(largest), seats.len());
        let watch = |(who, place): (&ParticipantId, layout::Rect)| Watch {
            participant: who.clone(),
            size: place.size,
        };
        seats.iter().zip(places).map(watch).collect()
    }
}

fn pictures(streams: &[RecvStream]) -> impl Iterator<Item = &RecvStream> {
    streams.iter().filter(|stream| stream.kind == MediaKind::Video)
}

fn sent_sound(to: &Leg) -> Option<&SendStream> {
    to.media.send.iter().find(|stream| stream.kind == MediaKind::Audio)
}

/// All the sounds of `from` in the one sound stream of `to`. It flows while nobody speaks, too: silence is
/// sent, so that nobody takes the leg for dead.
fn sound_flow(sink: Option<&SendStream>, (from, to): (&Leg, &Leg), shares: &Shares) -> Option<Sound> {
    let sink = sink?;
    let sounds = from.media.recv.iter().filter(|stream| stream.kind == MediaKind::Audio);
    Some(Sound {
        inputs: sounds.map(|stream| stream.id).take(limits::CONFERENCE_AUDIOS).collect(),
        sink: sink.id,
        codec: sink.codec,
        bps: shares.sound,
        expected_loss: to.sound_loss,
        frame_time: sink.frame_time,
    })
}

/// What may be sent where only sound is. An estimate of what the network carries grows with what is sent, so then it says no more than
/// that little was; what tells of a poor network is loss.
const fn sound_alone(expected_loss: u8) -> Option<u64> {
    match expected_loss {
        0..10 => None,
        10..20 => Some(300_000),
        _ => Some(100_000),
    }
}

fn layers(ladder: &[&SendStream], codec: Codec, shares: &Shares) -> Vec<Layer> {
    let same = ladder.iter().zip(&shares.pictures).filter(|(stream, _)| stream.codec == codec);
    same.map(|(stream, bps)| Layer { sink: stream.id, size: stream.max_size, bps: *bps }).collect()
}

/// The largest even picture within [`CANVAS`] of the shape that the room takes.
fn canvas(largest: Size) -> Size {
    let Size { width, height } = largest;
    if width <= CANVAS.width && height <= CANVAS.height {
        return Size::new(width & !1, height & !1);
    }
    let by_width = Size::new(CANVAS.width, scaled(height, CANVAS.width, width));
    let by_height = Size::new(scaled(width, CANVAS.height, height), CANVAS.height);
    if by_width.height <= CANVAS.height { by_width } else { by_height }
}

/// `of * to / from`, even.
fn scaled(of: u32, to: u32, from: u32) -> u32 {
    let scaled = u64::from(of) * u64::from(to) / u64::from(from.max(1));
    u32::try_from(scaled).unwrap_or(u32::MAX) & !1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canvas_keeps_the_shape_the_room_takes_and_stays_within_720_lines() {
        assert_eq!(canvas(Size::HD720), Size::HD720);
        assert_eq!(canvas(Size::new(1920, 1080)), Size::HD720);
        assert_eq!(canvas(Size::new(352, 288)), Size::new(352, 288));
        assert_eq!(canvas(Size::new(641, 361)), Size::new(640, 360));
        assert_eq!(canvas(Size::new(1600, 1200)), Size::new(960, 720));
        assert_eq!(canvas(Size::new(u32::MAX, 1)), Size::new(1280, 0));
        assert_eq!(canvas(Size::new(0, 0)), Size::new(0, 0));
    }
}
