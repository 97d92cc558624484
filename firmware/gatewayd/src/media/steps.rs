//! A plan in the workers' terms: which sources it reads, which sinks it makes, and the steps from one plan to the next.

use super::sources::Sources;
use super::{LaneId, Place, SOUND};
use base::ids::{CallId, StreamId};
use domain::layout;
use domain::media::{Composition, Ladder, MediaPlan, Side, Sound};
use media_dsp::{Fit, Layer, Mix, PictureSink, Rect, SinkId, SourceId, Step, Tile};
use std::collections::HashMap;

/// A stream that a plan reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Of which leg.
    pub side: Side,
    /// Which.
    pub stream: StreamId,
    /// Picture or sound.
    pub picture: bool,
    /// How large it is shown, in pixels.
    pub area: u64,
}

/// The numbers a call's streams have in the workers.
pub struct Names<'a> {
    /// Which call.
    pub call: CallId,
    /// Its sources.
    pub sources: &'a Sources,
    /// Its sinks.
    pub sinks: &'a HashMap<Place, SinkId>,
}

/// What changes between two plans.
#[derive(Default)]
pub struct Changes {
    /// Steps, each for a lane, in order.
    pub steps: Vec<(LaneId, Step)>,
    /// Only the rate changed.
    pub bitrates: Vec<(LaneId, SinkId, u32)>,
}

impl Names<'_> {
    fn source(&self, side: Side, stream: StreamId) -> Option<SourceId> {
        self.sources.of((self.call, side, stream))
    }

    fn sink(&self, side: Side, stream: StreamId) -> Option<SinkId> {
        self.sinks.get(&(self.call, side, stream)).copied()
    }
}

/// Every stream that `plan` reads.
pub fn inputs(plan: &MediaPlan) -> Vec<Input> {
    let sounds = |sound: &Option<Sound>, side: Side| -> Vec<Input> {
        let streams = sound.iter().flat_map(|sound| sound.inputs.clone());
        streams.map(|stream| Input { side, stream, picture: false, area: 0 }).collect()
    };
    let mut inputs = sounds(&plan.up.sound, Side::Caller);
    inputs.extend(sounds(&plan.down.sound, Side::Conference));
    let ladder = plan.up.picture.iter();
    inputs.extend(ladder.map(|l| Input { side: Side::Caller, stream: l.source, picture: true, area: 0 }));
    let tiles = plan.down.picture.iter().flat_map(|picture| &picture.tiles);
    inputs.extend(tiles.map(|tile| Input {
        side: Side::Conference,
        stream: tile.stream,
        picture: true,
        area: tile.rect.size.area(),
    }));
    inputs
}

/// Every stream that `plan` makes, and the lane it is made in; `lanes` are those of the pictures up and down.
pub fn outputs(call: CallId, plan: &MediaPlan, (up, down): (LaneId, LaneId)) -> Vec<(LaneId, Place)> {
    let mut outputs = Vec::new();
    outputs.extend(plan.up.sound.iter().map(|sound| (SOUND, (call, Side::Conference, sound.sink))));
    outputs.extend(plan.down.sound.iter().map(|sound| (SOUND, (call, Side::Caller, sound.sink))));
    let layers = plan.up.picture.iter().flat_map(|ladder| &ladder.layers);
    outputs.extend(layers.map(|layer| (up, (call, Side::Conference, layer.sink))));
    outputs.extend(plan.down.picture.iter().map(|picture| (down, (call, Side::Caller, picture.sink))));
    outputs
}

/// Everything `plan` needs, as if nothing was there.
pub fn all(plan: &MediaPlan, lanes: (LaneId, LaneId), names: &Names<'_>) -> Vec<(LaneId, Step)> {
    difference(&MediaPlan::default(), plan, lanes, names).steps
}

/// From `old` to `new`. What keeps its shape keeps its encoder; only what can't be changed in place is made anew.
pub fn difference(
    old: &MediaPlan,
    new: &MediaPlan,
    (up, down): (LaneId, LaneId),
    names: &Names<'_>,
) -> Changes {
    let mut changes = Changes::default();
    changes.sound((&old.up.sound, &new.up.sound), Side::Caller, names);
    changes.sound((&old.down.sound, &new.down.sound), Side::Conference, names);
    changes.ladder((&old.up.picture, &new.up.picture), up, names);
    changes.picture((&old.down.picture, &new.down.picture), down, names);
    changes
}

impl Changes {
    /// `from` is the side whose sounds are mixed for the other.
    fn sound(&mut self, (old, new): (&Option<Sound>, &Option<Sound>), from: Side, names: &Names<'_>) {
        let sources =
            |sound: &Sound| sound.inputs.iter().filter_map(|input| names.source(from, *input)).collect();
        if let (Some(old), Some(new)) = (old, new)
            && same_mixer(old, new)
        {
            if old.inputs != new.inputs
                && let Some(sink) = names.sink(from.other(), new.sink)
            {
                self.steps.push((SOUND, Step::SetMix { sink, inputs: sources(new) }));
            }
            return;
        }
        self.remove(SOUND, old.iter().filter_map(|sound| names.sink(from.other(), sound.sink)));
        if let Some(new) = new
            && let Some(sink) = names.sink(from.other(), new.sink)
        {
            let inputs = sources(new);
            let (codec, bps, frame_time) = (new.codec, new.bps, new.frame_time);
            self.steps.push((SOUND, Step::AddMix(Mix { sink, codec, frame_time, bps, inputs, own: None })));
        }
    }

    fn ladder(&mut self, (old, new): (&Option<Ladder>, &Option<Ladder>), lane: LaneId, names: &Names<'_>) {
        if let (Some(old), Some(new)) = (old, new)
            && same_shape(old, new)
        {
            for (was, is) in old.layers.iter().zip(&new.layers).filter(|(was, is)| was.bps != is.bps) {
                self.bitrates.extend(names.sink(Side::Conference, was.sink).map(|sink| (lane, sink, is.bps)));
            }
            return;
        }
        let gone = old.iter().flat_map(|ladder| &ladder.layers);
        self.remove(lane, gone.filter_map(|layer| names.sink(Side::Conference, layer.sink)));
        if let Some(new) = new
            && let Some(source) = names.source(Side::Caller, new.source)
        {
            let layer = |layer: &domain::media::Layer| {
                let sink = names.sink(Side::Conference, layer.sink)?;
                Some(Layer { sink, size: layer.size, bps: layer.bps })
            };
            let layers = new.layers.iter().filter_map(layer).collect();
            self.steps
                .push((lane, Step::AddLadder { source, codec: new.codec, max_fps: new.max_fps, layers }));
        }
    }

    fn picture(
        &mut self,
        (old, new): (&Option<Composition>, &Option<Composition>),
        lane: LaneId,
        names: &Names<'_>,
    ) {
        if let (Some(old), Some(new)) = (old, new)
            && same_encoder(old, new)
        {
            let Some(sink) = names.sink(Side::Caller, new.sink) else { return };
            if old.canvas != new.canvas || old.tiles != new.tiles {
                let tiles = tiles(&new.tiles, names);
                self.steps.push((lane, Step::SetLayout { sink, canvas: new.canvas, tiles }));
            }
            if old.bps != new.bps {
                self.bitrates.push((lane, sink, new.bps));
            }
            return;
        }
        self.remove(lane, old.iter().filter_map(|picture| names.sink(Side::Caller, picture.sink)));
        if let Some(new) = new
            && let Some(sink) = names.sink(Side::Caller, new.sink)
        {
            let picture = PictureSink {
                sink,
                codec: new.codec,
                canvas: new.canvas,
                max_fps: new.max_fps,
                bps: new.bps,
                max_nal_bytes: new.max_nal_bytes,
                tiles: tiles(&new.tiles, names),
            };
            self.steps.push((lane, Step::AddPicture(picture)));
        }
    }

    fn remove(&mut self, lane: LaneId, sinks: impl Iterator<Item = SinkId>) {
        self.steps.extend(sinks.map(|sink| (lane, Step::RemoveSink(sink))));
    }
}

fn same_mixer(old: &Sound, new: &Sound) -> bool {
    let mixer = |sound: &Sound| (sound.sink, sound.codec, sound.bps, sound.frame_time);
    mixer(old) == mixer(new)
}

fn same_shape(old: &Ladder, new: &Ladder) -> bool {
    let shape = |ladder: &Ladder| {
        let layers: Vec<_> = ladder.layers.iter().map(|layer| (layer.sink, layer.size)).collect();
        (ladder.source, ladder.codec, ladder.max_fps, layers)
    };
    shape(old) == shape(new)
}

fn same_encoder(old: &Composition, new: &Composition) -> bool {
    let encoder =
        |picture: &Composition| (picture.sink, picture.codec, picture.max_fps, picture.max_nal_bytes);
    encoder(old) == encoder(new)
}

fn tiles(tiles: &[layout::Tile], names: &Names<'_>) -> Vec<Tile> {
    let tile = |tile: &layout::Tile| {
        let source = names.source(Side::Conference, tile.stream)?;
        let layout::Rect { x, y, size } = tile.rect;
        Some(Tile { source, rect: Rect::new(x, y, size.width, size.height), fit: Fit::Letterbox })
    };
    tiles.iter().filter_map(tile).collect()
}
