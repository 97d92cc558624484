//! What a call is shown and told in place of its conference: the sources of its prompt in the workers.
//!
//! A picture source stays as long as any prompt does and shows one still picture after the other; each time a voice is said it has a
//! source of its own, so that the end of one that was cut short is not taken for the end of the next.

use super::prompts::Prompts;
use super::{Batch, LaneId, SOUND};
use domain::prompt::Showing;
use media_dsp::{SourceId, SourceKind, Step};

/// The sources of a call's prompt.
#[derive(Debug, Clone)]
pub struct Shown {
    showing: Showing,
    /// Those that there were when its first one was shown: whoever changes a theme changes it for calls to come.
    prompts: Prompts,
    /// Its picture's source, and where that is.
    pub picture: SourceId,
    lane: LaneId,
    /// Number and source of what is being said.
    pub voice: Option<(u32, SourceId)>,
}

impl Shown {
    /// How many sources it has.
    pub fn sources(&self) -> usize {
        1 + usize::from(self.voice.is_some())
    }

    /// From `before` to what `showing` wants, in steps of `batch`. `fresh` gives numbers that no source had yet.
    pub fn change(
        before: Option<Shown>,
        showing: Option<&Showing>,
        lane: LaneId,
        prompts: &Prompts,
        mut fresh: impl FnMut() -> SourceId,
        batch: &mut Batch,
    ) -> Option<Self> {
        let Some(showing) = showing else {
            before.iter().for_each(|before| before.remove(batch));
            return None;
        };
        let kept = before.filter(|before| {
            let stays = before.lane == lane;
            if !stays {
                before.remove(batch);
            }
            stays
        });
        let mut shown = match &kept {
            Some(kept) => Shown { showing: showing.clone(), ..kept.clone() },
            None => {
                let prompts = prompts.clone();
                Shown { showing: showing.clone(), prompts, picture: fresh(), lane, voice: None }
            }
        };
        match &kept {
            None => shown.add_picture(batch),
            Some(kept) if kept.looks_as(showing) => {}
            Some(_) => shown.show(batch),
        }
        shown.say(fresh, batch);
        Some(shown)
    }

    /// Everything it is, for a worker that knows nothing.
    pub fn again(&self, lane: LaneId, batch: &mut Batch) {
        if self.lane == lane {
            self.add_picture(batch);
        }
        if let Some((_, source)) = self.voice.filter(|_| lane == SOUND) {
            self.add_voice(source, batch);
        }
    }

    /// Takes its sources away.
    pub fn remove(&self, batch: &mut Batch) {
        batch.add(self.lane, Step::RemoveSource(self.picture));
        if let Some((_, source)) = self.voice {
            batch.add(SOUND, Step::RemoveSource(source));
        }
    }

    fn looks_as(&self, showing: &Showing) -> bool {
        let look = |showing: &Showing| (showing.prompt, showing.theme.clone(), showing.keyed.clone());
        look(&self.showing) == look(showing)
    }

    fn add_picture(&self, batch: &mut Batch) {
        batch.add(self.lane, Step::AddSource { source: self.picture, kind: SourceKind::Picture });
        self.show(batch);
    }

    fn show(&self, batch: &mut Batch) {
        let Showing { prompt, theme, keyed, .. } = &self.showing;
        if let Some(still) = self.prompts.picture(theme.as_deref(), *prompt, keyed.reveal()) {
            batch.add(self.lane, Step::Show { source: self.picture, still });
        }
    }

    fn say(&mut self, mut fresh: impl FnMut() -> SourceId, batch: &mut Batch) {
        if self.voice.map(|(number, _)| number) == self.showing.says {
            return;
        }
        if let Some((_, source)) = self.voice {
            batch.add(SOUND, Step::RemoveSource(source));
        }
        self.voice = self.showing.says.map(|number| (number, fresh()));
        if let Some((_, source)) = self.voice {
            self.add_voice(source, batch);
        }
    }

    fn add_voice(&self, source: SourceId, batch: &mut Batch) {
        batch.add(SOUND, Step::AddSource { source, kind: SourceKind::Sound });
        if let Some(clip) = self.prompts.voice(self.showing.theme.as_deref(), self.showing.prompt) {
            batch.add(SOUND, Step::Play { source, clip });
        }
    }
}
