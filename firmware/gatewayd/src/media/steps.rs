//! A plan in the workers' terms: which sources it reads, which sinks it makes, and the steps from one plan to the next.

use super::lane::Urgency;
use super::shown::Shown;
use super::sources::Sources;
use super::{LaneId, Place, SOUND};
use base::ids::{CallId, StreamId};
use domain::layout;
use domain::media::{Composition, Ladder, MediaPlan, Side, Sound};
use media_dsp::{Fit, Layer, Listening, Mix, Opening, PictureSink, Rect, SinkId, SourceId, Step, Tile};
use std::collections::{HashMap, HashSet};

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
    /// How soon it is worked on: what is composed goes by its main picture, the first, beside which the others are shown.
    pub urgency: Urgency,
}

/// The numbers a call's streams have in the workers.
pub struct Names<'a> {
    /// Which call.
    pub call: CallId,
    /// Its sources.
    pub sources: &'a Sources,
    /// Its sinks.
    pub sinks: &'a HashMap<Place, SinkId>,
    /// What it is shown in place of its conference.
    pub prompt: Option<&'a Shown>,
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
    let sound = |side, stream| Input { side, stream, picture: false, area: 0, urgency: Urgency::Now };
    let sounds = |of: &Option<Sound>, side| -> Vec<Input> {
        of.iter().flat_map(|of| &of.inputs).map(|stream| sound(side, *stream)).collect()
    };
    let mut inputs = sounds(&plan.up.sound, Side::Caller);
    inputs.extend(sounds(&plan.down.sound, Side::Conference));
    inputs.extend(plan.keys.map(|stream| sound(Side::Caller, stream)));
    inputs.extend(
        plan.up.picture.iter().map(|ladder| Input { picture: true, ..sound(Side::Caller, ladder.source) }),
    );
    let tiles = plan.down.picture.iter().flat_map(|picture| picture.tiles.iter().enumerate());
    inputs.extend(tiles.map(|(at, tile)| Input {
        side: Side::Conference,
        stream: tile.stream,
        picture: true,
        area: tile.rect.size.area(),
        urgency: if at == 0 { Urgency::Now } else { Urgency::Rides },
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

/// The places of `old` whose encoders go on in `new`; all others begin or end.
pub fn kept(call: CallId, old: &MediaPlan, new: &MediaPlan) -> HashSet<Place> {
    let mut kept = HashSet::new();
    if both(&old.up.sound, &new.up.sound).is_some_and(same_mixer) {
        kept.extend(new.up.sound.iter().map(|sound| (call, Side::Conference, sound.sink)));
    }
    if both(&old.down.sound, &new.down.sound).is_some_and(same_mixer) {
        kept.extend(new.down.sound.iter().map(|sound| (call, Side::Caller, sound.sink)));
    }
    if both(&old.up.picture, &new.up.picture).is_some_and(same_shape) {
        let layers = new.up.picture.iter().flat_map(|ladder| &ladder.layers);
        kept.extend(layers.map(|layer| (call, Side::Conference, layer.sink)));
    }
    if both(&old.down.picture, &new.down.picture).is_some_and(same_encoder) {
        kept.extend(new.down.picture.iter().map(|picture| (call, Side::Caller, picture.sink)));
    }
    kept
}

/// Everything `plan` needs, as if nothing was there.
pub fn all(plan: &MediaPlan, lanes: (LaneId, LaneId), names: &Names<'_>) -> Vec<(LaneId, Step)> {
    difference(&MediaPlan::default(), plan, lanes, names).steps
}

/// From `old` to `new`: what is [`kept`] is changed in place, what is not is added. `names` are those of `new`; sinks that
/// end are removed by whoever named them.
pub fn difference(
    old: &MediaPlan,
    new: &MediaPlan,
    (up, down): (LaneId, LaneId),
    names: &Names<'_>,
) -> Changes {
    let mut changes = Changes::default();
    changes.listening((old.keys, new.keys), names);
    changes.sound((&old.up.sound, &new.up.sound), Side::Caller, Said::Same, names);
    let says = |plan: &MediaPlan| plan.prompt.as_ref().map(|prompt| prompt.says);
    let said = if says(old) == says(new) { Said::Same } else { Said::Other };
    changes.sound((&old.down.sound, &new.down.sound), Side::Conference, said, names);
    changes.ladder((&old.up.picture, &new.up.picture), up, names);
    let shown = if old.prompt.is_some() == new.prompt.is_some() { Said::Same } else { Said::Other };
    changes.picture((&old.down.picture, &new.down.picture), shown, down, names);
    changes
}

/// Whether what the caller is shown or told in place of its conference is another source than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Same,
    Other,
}

impl Changes {
    /// In which sound keys are listened for.
    fn listening(&mut self, (old, new): (Option<StreamId>, Option<StreamId>), names: &Names<'_>) {
        if old == new {
            return;
        }
        for (stream, keys) in [(old, Listening::Off), (new, Listening::On)] {
            let source = stream.and_then(|stream| names.source(Side::Caller, stream));
            self.steps.extend(source.map(|source| (SOUND, Step::Listen { source, keys })));
        }
    }

    /// `from` is the side whose sounds are mixed for the other.
    fn sound(
        &mut self,
        (old, new): (&Option<Sound>, &Option<Sound>),
        from: Side,
        said: Said,
        names: &Names<'_>,
    ) {
        let Some(new) = new else { return };
        let Some(sink) = names.sink(from.other(), new.sink) else { return };
        let voice = names.prompt.filter(|_| from == Side::Conference).and_then(|prompt| prompt.voice);
        let streams = || new.inputs.iter().filter_map(|input| names.source(from, *input));
        let inputs = || streams().chain(voice.map(|(_, source)| source)).collect();
        match old.as_ref().filter(|old| same_mixer((old, new))) {
            Some(old) => {
                if old.inputs != new.inputs || said == Said::Other {
                    self.steps.push((SOUND, Step::SetMix { sink, inputs: inputs() }));
                }
                if old.expected_loss != new.expected_loss {
                    self.steps.push((SOUND, Step::ExpectLoss { sink, percent: new.expected_loss }));
                }
                self.bitrate(SOUND, sink, (old.bps, new.bps));
            }
            None => {
                let (codec, bps, frame_time) = (new.codec, new.bps, new.frame_time);
                let expected_loss = new.expected_loss;
                let opening = match from {
                    Side::Caller => Opening::FirstWord,
                    Side::Conference => Opening::Silence,
                };
                let inputs = inputs();
                let mix = Mix { sink, codec, frame_time, bps, expected_loss, inputs, own: None, opening };
                self.steps.push((SOUND, Step::AddMix(mix)));
            }
        }
    }

    fn ladder(&mut self, (old, new): (&Option<Ladder>, &Option<Ladder>), lane: LaneId, names: &Names<'_>) {
        let Some(new) = new else { return };
        let Some(source) = names.source(Side::Caller, new.source) else { return };
        let sink = |layer: &domain::media::Layer| names.sink(Side::Conference, layer.sink);
        match old.as_ref().filter(|old| same_shape((old, new))) {
            Some(old) => {
                for (was, is) in old.layers.iter().zip(&new.layers) {
                    sink(is).into_iter().for_each(|sink| self.bitrate(lane, sink, (was.bps, is.bps)));
                }
            }
            None => {
                let layers = new.layers.iter();
                let layers = layers
                    .filter_map(|layer| Some(Layer { sink: sink(layer)?, size: layer.size, bps: layer.bps }));
                let (codec, max_fps, layers) = (new.codec, new.max_fps, layers.collect());
                self.steps.push((lane, Step::AddLadder { source, codec, max_fps, layers }));
            }
        }
    }

    fn picture(
        &mut self,
        (old, new): (&Option<Composition>, &Option<Composition>),
        shown: Said,
        lane: LaneId,
        names: &Names<'_>,
    ) {
        let Some(new) = new else { return };
        let Some(sink) = names.sink(Side::Caller, new.sink) else { return };
        match old.as_ref().filter(|old| same_encoder((old, new))) {
            Some(old) => {
                if (old.canvas, &old.tiles) != (new.canvas, &new.tiles) || shown == Said::Other {
                    let tiles = tiles(new, names);
                    self.steps.push((lane, Step::SetLayout { sink, canvas: new.canvas, tiles }));
                }
                self.bitrate(lane, sink, (old.bps, new.bps));
            }
            None => {
                let picture = PictureSink {
                    sink,
                    codec: new.codec,
                    canvas: new.canvas,
                    max_fps: new.max_fps,
                    bps: new.bps,
                    max_nal_bytes: new.max_nal_bytes,
                    tiles: tiles(new, names),
                };
                self.steps.push((lane, Step::AddPicture(picture)));
            }
        }
    }

    fn bitrate(&mut self, lane: LaneId, sink: SinkId, (was, is): (u32, u32)) {
        if was != is {
            self.bitrates.push((lane, sink, is));
        }
    }
}

fn both<'a, T>(old: &'a Option<T>, new: &'a Option<T>) -> Option<(&'a T, &'a T)> {
    old.as_ref().zip(new.as_ref())
}

fn same_mixer((old, new): (&Sound, &Sound)) -> bool {
    let mixer = |sound: &Sound| (sound.sink, sound.codec, sound.frame_time);
    mixer(old) == mixer(new)
}

fn same_shape((old, new): (&Ladder, &Ladder)) -> bool {
    let shape = |ladder: &Ladder| {
        let layers: Vec<_> = ladder.layers.iter().map(|layer| (layer.sink, layer.size)).collect();
        (ladder.source, ladder.codec, ladder.max_fps, layers)
    };
    shape(old) == shape(new)
}

fn same_encoder((old, new): (&Composition, &Composition)) -> bool {
    let encoder =
        |picture: &Composition| (picture.sink, picture.codec, picture.max_fps, picture.max_nal_bytes);
    encoder(old) == encoder(new)
}

fn tiles(picture: &Composition, names: &Names<'_>) -> Vec<Tile> {
    if let Some(prompt) = names.prompt {
        let rect = Rect::whole(picture.canvas);
        return vec![Tile { source: prompt.picture, rect, fit: Fit::Letterbox }];
    }
    let tile = |tile: &layout::Tile| {
        let source = names.source(Side::Conference, tile.stream)?;
        let layout::Rect { x, y, size } = tile.rect;
        Some(Tile { source, rect: Rect::new(x, y, size.width, size.height), fit: Fit::Letterbox })
    };
    picture.tiles.iter().filter_map(tile).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{MeetingKey, sources};
    use super::*;
    use base::{Codec, Size};
    use domain::media::{Down, Indicators, Up};
    use std::time::Duration;

    const CALL: CallId = CallId(1);
    const LANES: (LaneId, LaneId) = (LaneId(1), LaneId(2));
    /// The numbers that [`Workers`] gives: sinks of the conference's streams, then of the caller's.
    const UP_SOUND: SinkId = SinkId(10);
    const LOW: SinkId = SinkId(11);
    const HIGH: SinkId = SinkId(12);
    const DOWN_SOUND: SinkId = SinkId(20);
    const DOWN_PICTURE: SinkId = SinkId(21);

    /// Sources and sinks as a plane would name them.
    struct Workers {
        sources: Sources,
        sinks: HashMap<Place, SinkId>,
    }

    impl Workers {
        fn of(plans: &[&MediaPlan]) -> Self {
            let mut sources = sources::Sources::default();
            let meeting = MeetingKey { connector: "meet".into(), meeting: "1234567890123".into() };
            for input in plans.iter().flat_map(|plan| inputs(plan)) {
                sources.take(CALL, &input, LaneId(1), &meeting, None);
            }
            let names = plans.iter().flat_map(|plan| outputs(CALL, plan, LANES));
            let number = |(_, side, stream): Place| {
                SinkId(if side == Side::Conference { 10 } else { 20 } + u64::from(stream.0))
            };
            Self { sources, sinks: names.map(|(_, place)| (place, number(place))).collect() }
        }
    }

    /// The steps, and the rates.
    type Difference = (Vec<(LaneId, Step)>, Vec<(LaneId, SinkId, u32)>);

    fn changes(old: &MediaPlan, new: &MediaPlan) -> Difference {
        let workers = Workers::of(&[old, new]);
        let names = Names { call: CALL, sources: &workers.sources, sinks: &workers.sinks, prompt: None };
        let Changes { steps, bitrates } = difference(old, new, LANES, &names);
        (steps, bitrates)
    }

    /// The sinks of `old` that do not outlive the change.
    fn ended(old: &MediaPlan, new: &MediaPlan) -> Vec<SinkId> {
        let (workers, kept) = (Workers::of(&[old]), kept(CALL, old, new));
        let gone = outputs(CALL, old, LANES).into_iter().filter(|(_, place)| !kept.contains(place));
        gone.map(|(_, place)| workers.sinks[&place]).collect()
    }

    fn tile(stream: u32, x: u32) -> layout::Tile {
        let rect = layout::Rect { x, y: 0, size: Size::P360 };
        layout::Tile { stream: StreamId(stream), participant: None, rect }
    }

    fn sound(inputs: &[u32], codec: Codec) -> Sound {
        let inputs = inputs.iter().map(|stream| StreamId(*stream)).collect();
        Sound {
            inputs,
            sink: StreamId(0),
            codec,
            bps: 32_000,
            expected_loss: 0,
            frame_time: Duration::from_millis(20),
        }
    }

    /// A room and a meeting of two, all of it flowing.
    fn plan() -> MediaPlan {
        let layer = |sink, size, bps| domain::media::Layer { sink: StreamId(sink), size, bps };
        let layers = vec![layer(1, Size::P180, 150_000), layer(2, Size::HD720, 1_200_000)];
        MediaPlan {
            up: Up {
                sound: Some(sound(&[0], Codec::Opus)),
                picture: Some(Ladder { source: StreamId(1), codec: Codec::Vp8, max_fps: 30, layers }),
            },
            down: Down {
                sound: Some(sound(&[50, 51], Codec::Pcmu)),
                picture: Some(Composition {
                    sink: StreamId(1),
                    codec: Codec::H264,
                    canvas: Size::HD720,
                    max_fps: 30,
                    bps: 1_500_000,
                    max_nal_bytes: None,
                    tiles: vec![tile(60, 0), tile(61, 640)],
                    indicators: Indicators::default(),
                }),
            },
            ..MediaPlan::default()
        }
    }

    /// [`plan`] with one thing changed.
    fn with(change: impl FnOnce(&mut Sound, &mut Ladder, &mut Sound, &mut Composition)) -> MediaPlan {
        let mut plan = plan();
        let (up, down) = (&mut plan.up, &mut plan.down);
        if let (Some(a), Some(b), Some(c), Some(d)) =
            (&mut up.sound, &mut up.picture, &mut down.sound, &mut down.picture)
        {
            change(a, b, c, d);
        }
        plan
    }

    #[test]
    fn a_plan_that_equals_the_last_one_changes_nothing() {
        assert_eq!(changes(&plan(), &plan()), (vec![], vec![]));
        assert_eq!(ended(&plan(), &plan()), []);
    }

    #[test]
    fn everything_new_is_added_sounds_in_their_lane_and_pictures_in_theirs() {
        let (steps, bitrates) = changes(&MediaPlan::default(), &plan());
        let added = |step: &Step| match step {
            Step::AddMix(mix) => (mix.sink, mix.inputs.len()),
            Step::AddLadder { layers, .. } => (layers[0].sink, layers.len()),
            Step::AddPicture(picture) => (picture.sink, picture.tiles.len()),
            other => panic!("{other:?} adds nothing"),
        };
        let seen: Vec<_> = steps.iter().map(|(lane, step)| (*lane, added(step))).collect();
        let (up, down) = LANES;
        assert_eq!(
            seen,
            [(SOUND, (UP_SOUND, 1)), (SOUND, (DOWN_SOUND, 2)), (up, (LOW, 2)), (down, (DOWN_PICTURE, 2))]
        );
        assert_eq!(bitrates, []);
    }

    #[test]
    fn where_only_rates_change_encoders_are_told_and_kept() {
        let new = with(|up, ladder, _, composition| {
            up.bps = 24_000;
            ladder.layers[1].bps = 0;
            composition.bps = 300_000;
        });
        let (up, down) = LANES;
        let rates = vec![(SOUND, UP_SOUND, 24_000), (up, HIGH, 0), (down, DOWN_PICTURE, 300_000)];
        assert_eq!(changes(&plan(), &new), (vec![], rates));
        assert_eq!(ended(&plan(), &new), []);
    }

    #[test]
    fn loss_to_be_expected_is_told_once_and_a_worker_begun_anew_knows_it() {
        let new = with(|up, _, _, _| up.expected_loss = 10);
        let told = vec![(SOUND, Step::ExpectLoss { sink: UP_SOUND, percent: 10 })];
        assert_eq!(changes(&plan(), &new), (told, vec![]));
        assert_eq!(ended(&plan(), &new), []);
        let (steps, _) = changes(&MediaPlan::default(), &new);
        let knows = |step: &Step| matches!(step, Step::AddMix(mix) if mix.sink == UP_SOUND && mix.expected_loss == 10);
        assert!(steps.iter().any(|(_, step)| knows(step)), "{steps:?}");
    }

    #[test]
    fn another_arrangement_or_canvas_is_a_new_layout_of_the_same_encoder() {
        let moved = with(|_, _, _, composition| composition.tiles.reverse());
        let smaller = with(|_, _, _, composition| composition.canvas = Size::P360);
        for new in [moved, smaller] {
            let (steps, bitrates) = changes(&plan(), &new);
            assert!(
                matches!(&steps[..], [(lane, Step::SetLayout { sink: DOWN_PICTURE, tiles, .. })]
                    if *lane == LANES.1 && tiles.len() == 2),
                "{steps:?}"
            );
            assert_eq!((bitrates, ended(&plan(), &new)), (vec![], vec![]));
        }
    }

    #[test]
    fn who_comes_and_goes_is_mixed_in_and_out_without_a_new_encoder() {
        let new = with(|_, _, down, _| down.inputs = vec![StreamId(51)]);
        let (steps, _) = changes(&plan(), &new);
        assert!(
            matches!(&steps[..], [(SOUND, Step::SetMix { sink: DOWN_SOUND, inputs })] if inputs.len() == 1),
            "{steps:?}"
        );
        assert_eq!(ended(&plan(), &new), []);
    }

    #[test]
    fn another_codec_size_or_frame_rate_ends_the_encoder_and_begins_another() {
        let codec = with(|_, _, down, _| down.codec = Codec::G722);
        assert_eq!(ended(&plan(), &codec), [DOWN_SOUND]);
        assert!(
            matches!(&changes(&plan(), &codec).0[..], [(SOUND, Step::AddMix(mix))] if mix.codec == Codec::G722)
        );

        let rungs = with(|_, ladder, _, _| ladder.layers.truncate(1));
        assert_eq!(ended(&plan(), &rungs), [LOW, HIGH], "a ladder is one encoder");
        assert!(
            matches!(&changes(&plan(), &rungs).0[..], [(_, Step::AddLadder { layers, .. })] if layers.len() == 1)
        );

        let nal = with(|_, _, _, composition| composition.max_nal_bytes = Some(1_200));
        assert_eq!(ended(&plan(), &nal), [DOWN_PICTURE]);
        assert!(matches!(&changes(&plan(), &nal).0[..], [(_, Step::AddPicture(_))]));
    }

    #[test]
    fn hold_ends_what_the_room_sends_and_gets_and_resume_begins_it_anew() {
        let held = MediaPlan {
            up: Up { sound: Some(sound(&[], Codec::Opus)), picture: None },
            down: Down { sound: None, picture: None },
            ..MediaPlan::default()
        };
        assert_eq!(ended(&plan(), &held), [DOWN_SOUND, LOW, HIGH, DOWN_PICTURE]);
        let (steps, _) = changes(&plan(), &held);
        assert_eq!(steps, [(SOUND, Step::SetMix { sink: UP_SOUND, inputs: vec![] })], "silence flows on");

        let (steps, bitrates) = changes(&held, &plan());
        assert_eq!((steps.len(), bitrates.len()), (4, 0), "{steps:?}");
        assert_eq!(ended(&held, &plan()), []);
    }

    #[test]
    fn what_a_plan_names_and_nobody_knows_is_left_out() {
        let nobody = Workers::of(&[]);
        let names = Names { call: CALL, sources: &nobody.sources, sinks: &nobody.sinks, prompt: None };
        assert_eq!(all(&plan(), LANES, &names), []);
    }
}
