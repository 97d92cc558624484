//! The walk through the menu: where somebody is, what he keys, what is asked of the box for it, and what is to be seen.
//!
//! ```text
//!  HOME ─Select─▶ MENU ─Select─▶ LINES (something to read)
//!    ▲              │ ├────────▶ FORM ─step─▶ Ask ... ─End─▶ LINES, MENU or the next form
//!    └────Back──────┘ └────────▶ PROMPT (commands)
//! ```
//! At the serial console HOME is the form to claim or to log in; at the panel it shows how the box is. Whoever asks the
//! box hands in the new [`Facts`] first, then the [`Reply`].

use super::form::{Answers, FormKind, Step, step};
use super::lay::{self, Page};
use super::line::{Echo, LINE_CHARS, LineEditor};
use super::question::{Editor, Question};
use super::tree::{Item, Menu, Needs, entries};
use super::{Key, Reach, cells::Outcome};
use crate::protocol::{Ask, Authority, Facts, Hidden, Ownership, Reply, Row, Stage};
use crate::words::{self, Command, Form};

/// Most lines of a prompt that are kept.
const PROMPT_LINES: usize = 400;
/// Most commands that are remembered.
const REMEMBERED: usize = 32;

/// Somebody's walk.
#[derive(Debug, Clone)]
pub struct Walk {
    reach: Reach,
    page: Page,
    facts: Facts,
    path: Vec<(Menu, usize)>,
    mode: Mode,
    awaits: Awaits,
    prompt: Option<Prompt>,
}

#[derive(Debug, Clone)]
enum Mode {
    Home { top: usize },
    Menu,
    Lines { title: String, lines: Vec<String>, top: usize },
    Form(Box<Filling>),
    Prompt,
}

/// A form being filled in.
#[derive(Debug, Clone)]
struct Filling {
    kind: FormKind,
    answers: Answers,
    done: usize,
    last: Reply,
    question: Question,
    editor: Editor,
    note: Option<String>,
    then: Option<Item>,
}

/// The prompt for commands.
#[derive(Debug, Clone)]
struct Prompt {
    lines: Vec<String>,
    editor: LineEditor,
    before: Vec<String>,
    recalled: usize,
}

/// What the next reply is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Awaits {
    Nothing,
    Form,
    Lines(String),
    Prompt(Form),
    Logout,
}

/// What is to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// What this is.
    pub title: String,
    /// What is always to be seen: whether a change is on trial.
    pub banner: Option<String>,
    /// The rest.
    pub body: Body,
}

/// The rest of a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Lines to read, from the `top`th on.
    Lines {
        /// All of them.
        lines: Vec<String>,
        /// The first one seen.
        top: usize,
    },
    /// Entries, one of them meant.
    Entries {
        /// Title, short title, value.
        entries: Vec<(String, String, Option<String>)>,
        /// Which is meant.
        at: usize,
    },
    /// A question.
    Question {
        /// It.
        question: Box<Question>,
        /// What is to be read before, laid out.
        lines: Vec<String>,
        /// How it is being answered.
        editor: Editor,
        /// Why the last answer would not do.
        note: Option<String>,
    },
    /// The prompt.
    Prompt {
        /// What was said so far.
        lines: Vec<String>,
        /// What is being typed.
        editor: LineEditor,
    },
}

impl Walk {
    /// At the beginning, with what is known of the box.
    #[must_use]
    pub fn new(reach: Reach, page: Page, facts: Facts) -> Self {
        let mode = Mode::Home { top: 0 };
        let mut walk =
            Self { reach, page, facts, path: Vec::new(), mode, awaits: Awaits::Nothing, prompt: None };
        walk.home();
        walk
    }

    /// How the box is now.
    pub fn facts(&mut self, facts: Facts) {
        let lost = facts.authority < self.facts.authority;
        let owned = facts.ownership != self.facts.ownership && self.awaits == Awaits::Nothing;
        self.facts = facts;
        if lost || owned {
            self.home();
        }
    }

    /// The screen shows more or less at a time from now on.
    pub fn turn_page(&mut self, page: Page) {
        self.page = page;
    }

    /// A command that was typed where a menu stood.
    pub fn command_line(&mut self, line: &str) -> Option<Ask> {
        if !matches!(self.mode, Mode::Menu | Mode::Lines { .. } | Mode::Prompt) {
            return None;
        }
        if self.prompt.is_none() {
            self.open(Item::CommandLine, String::new());
        }
        self.mode = Mode::Prompt;
        self.command(line)
    }

    /// What is known of the box.
    #[must_use]
    pub fn known(&self) -> &Facts {
        &self.facts
    }

    /// All the way out.
    pub fn home(&mut self) {
        self.path.clear();
        self.prompt = None;
        self.awaits = Awaits::Nothing;
        self.mode = Mode::Home { top: 0 };
        let first = match (self.reach, self.facts.ownership, self.facts.authority) {
            (Reach::Keyboard, Ownership::Unclaimed, Authority::Nobody) => FormKind::Claim,
            (Reach::Keyboard, Ownership::Claimed, Authority::Nobody) => FormKind::Login,
            (Reach::Keyboard, _, Authority::Unlocked | Authority::Administrator) => {
                return self.enter(Menu::Main);
            }
            (Reach::FourKeys, Ownership::Unclaimed, _) => FormKind::Claim,
            (Reach::FourKeys, Ownership::Claimed, _) => return,
        };
        // The first step of these is a question, never an ask.
        self.begin(first, None);
    }

    /// The keys that mean a lost password were held.
    pub fn held(&mut self) -> Option<Ask> {
        if self.facts.recovery_left.is_some() { self.begin(FormKind::RecoverHeld, None) } else { None }
    }

    fn enter(&mut self, menu: Menu) {
        self.path.push((menu, 0));
        self.mode = Mode::Menu;
    }

    fn begin(&mut self, kind: FormKind, then: Option<Item>) -> Option<Ask> {
        let question = Question::new("", "", "", super::Kind::Read);
        let (answers, last) = (Answers::default(), Reply::default());
        let filling =
            Filling { kind, answers, done: 0, last, question, editor: Editor::Read, note: None, then };
        self.mode = Mode::Form(Box::new(filling));
        self.advance()
    }

    /// Takes a key. What is asked of the box for it is to be answered by [`reply`](Self::reply).
    pub fn key(&mut self, key: Key) -> Option<Ask> {
        if key == Key::Home {
            self.home();
            return None;
        }
        match &mut self.mode {
            Mode::Home { .. } => self.home_key(key),
            Mode::Menu => self.menu_key(key),
            Mode::Lines { lines, top, .. } => {
                if !lay::scroll(top, lines.len(), self.page, key)
                    && matches!(key, Key::Select | Key::Back | Key::Char('q'))
                {
                    self.leave();
                }
                None
            }
            Mode::Form(_) => self.form_key(key),
            Mode::Prompt => self.prompt_key(key),
        }
    }

    fn home_key(&mut self, key: Key) -> Option<Ask> {
        let count = self.home_lines().len();
        let Mode::Home { top } = &mut self.mode else { return None };
        lay::scroll(top, count, self.page, key);
        match (key, self.facts.ownership, self.facts.panel.as_str()) {
            (Key::Select, Ownership::Unclaimed, _) => self.begin(FormKind::Claim, None),
            (Key::Select, Ownership::Claimed, "full" | "view") => {
                self.enter(Menu::Main);
                None
            }
            _ => None,
        }
    }

    fn menu_key(&mut self, key: Key) -> Option<Ask> {
        let (menu, at) = self.path.last_mut()?;
        let list = entries(menu, &self.facts, self.reach);
        let count = list.len().max(1);
        *at = (*at).min(count - 1);
        match key {
            Key::Up => *at = (*at + count - 1) % count,
            Key::Down => *at = (*at + 1) % count,
            Key::Start | Key::PageUp => *at = 0,
            Key::End | Key::PageDown => *at = count - 1,
            Key::Select | Key::Right => {
                let chosen = list.get(*at).cloned()?;
                return self.open(chosen.item, chosen.title);
            }
            Key::Char(c) if c.is_ascii_digit() => {
                // 1 to 9, then 0 for the tenth.
                let wanted = (usize::from(c as u8 - b'0') + 9) % 10;
                let chosen = list.get(wanted).cloned()?;
                *at = wanted;
                return self.open(chosen.item, chosen.title);
            }
            Key::Back | Key::Left | Key::Char('q') => {
                if self.path.len() > 1 {
                    self.path.pop();
                } else if self.reach == Reach::FourKeys {
                    self.home();
                }
            }
            Key::Char(':') if self.reach == Reach::Keyboard => {
                return self.open(Item::CommandLine, String::new());
            }
            _ => {}
        }
        None
    }

    fn open(&mut self, item: Item, title: String) -> Option<Ask> {
        let locked = self.reach == Reach::FourKeys && self.facts.authority == Authority::Nobody;
        if locked && item.needs() == Needs::Authority {
            return self.begin(FormKind::Unlock, Some(item));
        }
        match item {
            Item::Menu(menu) => self.enter(menu),
            Item::View(view) => return self.ask(Ask::Show { view }, Awaits::Lines(title)),
            Item::Form(kind) => return self.begin(kind, None),
            Item::Ask(Ask::Logout) => return self.ask(Ask::Logout, Awaits::Logout),
            Item::Ask(ask) => return self.ask(ask, Awaits::Lines(title)),
            Item::CommandLine => {
                self.prompt = Some(Prompt::new());
                self.mode = Mode::Prompt;
            }
        }
        None
    }

    fn ask(&mut self, ask: Ask, awaits: Awaits) -> Option<Ask> {
        self.awaits = awaits;
        Some(ask)
    }

    /// What came of the last ask.
    pub fn reply(&mut self, reply: Reply) -> Option<Ask> {
        match std::mem::replace(&mut self.awaits, Awaits::Nothing) {
            Awaits::Nothing => None,
            Awaits::Form => self.form_reply(reply),
            Awaits::Lines(title) => {
                self.show(title, &reply_rows(&reply));
                None
            }
            Awaits::Prompt(form) => {
                let lines = words::written(&reply, form, self.page.columns);
                self.say(lines);
                None
            }
            Awaits::Logout => {
                self.home();
                None
            }
        }
    }

    fn show(&mut self, title: String, rows: &[Row]) {
        // What was done may have changed what stands on the menu.
        let lines = lay::lines(rows, self.page);
        self.mode = Mode::Lines { title, lines, top: 0 };
    }

    /// Back to where somebody was before.
    fn leave(&mut self) {
        if self.prompt.is_some() {
            self.mode = Mode::Prompt;
        } else if self.path.is_empty() {
            self.home();
        } else {
            self.mode = Mode::Menu;
        }
    }

    // Forms.

    fn advance(&mut self) -> Option<Ask> {
        // A form has few steps; more means that it goes in circles.
        for _ in 0..16 {
            let Mode::Form(filling) = &mut self.mode else { return None };
            let Filling { kind, answers, done, last, .. } = &**filling;
            match step(kind, answers, *done, last, &self.facts, self.reach) {
                Step::Question(question) => {
                    filling.editor = question.editor(self.reach);
                    filling.question = *question;
                    return None;
                }
                Step::Ask(ask) => return self.ask(ask, Awaits::Form),
                Step::Again(ids, why) => {
                    filling.answers.0.retain(|(id, _)| !ids.contains(id));
                    filling.note = Some(why);
                }
                Step::End(rows, next) => return self.end(&rows, next),
            }
        }
        None
    }

    fn end(&mut self, rows: &[Row], next: Option<FormKind>) -> Option<Ask> {
        let Mode::Form(filling) = &self.mode else { return None };
        let (then, title) = (filling.then.clone(), filling.question.label.clone());
        if let Some(next) = next {
            return self.begin(next, None);
        }
        if let Some(item) = then {
            self.leave();
            return self.open(item, title);
        }
        if self.prompt.is_some() {
            let lines = lay::lines(rows, self.page);
            self.say(lines);
            self.mode = Mode::Prompt;
        } else if rows.is_empty() {
            self.leave();
        } else {
            self.show(title, rows);
        }
        None
    }

    fn form_reply(&mut self, reply: Reply) -> Option<Ask> {
        let Mode::Form(filling) = &mut self.mode else { return None };
        if reply.is_done() {
            filling.done += 1;
            filling.last = reply;
            filling.note = None;
            return self.advance();
        }
        let why = reply.problems.join("; ");
        if filling.answers.0.pop().is_none() {
            let title = filling.question.label.clone();
            self.show(title, &reply_rows(&reply));
            return None;
        }
        // A password that was typed twice won't do: it is typed twice again.
        filling.answers.0.retain(|(id, _)| *id != "new");
        filling.note = Some(why);
        self.advance()
    }

    fn form_key(&mut self, key: Key) -> Option<Ask> {
        let Mode::Form(filling) = &mut self.mode else { return None };
        let outcome = match (&mut filling.editor, key) {
            (Editor::Read, Key::Select) => Outcome::Take(String::new()),
            // What is shown once is not left by mistake.
            (Editor::Read, Key::Back) if filling.done == 0 => Outcome::Leave,
            (Editor::Read, _) => Outcome::Stay,
            (Editor::Cells(cells), key) => cells.key(key),
            (Editor::Line(line), Key::Select) => Outcome::Take(line.text()),
            (Editor::Line(_), Key::Back) => Outcome::Leave,
            (Editor::Line(line), key) => {
                line.key(key);
                Outcome::Stay
            }
        };
        match outcome {
            Outcome::Stay => None,
            Outcome::Take(text) => self.answer(text),
            Outcome::Leave => self.forget(),
        }
    }

    fn answer(&mut self, text: String) -> Option<Ask> {
        let recovers = self.facts.recovery_left.is_some();
        let Mode::Form(filling) = &mut self.mode else { return None };
        if filling.kind == FormKind::Login && recovers && text.trim() == "recover" {
            return self.begin(FormKind::Recover, None);
        }
        if let Err(why) = filling.question.check(&text) {
            filling.note = Some(why);
            return None;
        }
        filling.note = None;
        filling.answers.0.push((filling.question.id, Hidden(text)));
        self.advance()
    }

    /// One question back; before the first one, out of the form.
    fn forget(&mut self) -> Option<Ask> {
        let Mode::Form(filling) = &mut self.mode else { return None };
        filling.note = None;
        if filling.done == 0 && filling.answers.0.pop().is_some() {
            return self.advance();
        }
        if self.reach == Reach::FourKeys && self.path.is_empty() {
            self.mode = Mode::Home { top: 0 };
        } else {
            self.leave();
        }
        None
    }

    // The prompt.

    fn prompt_key(&mut self, key: Key) -> Option<Ask> {
        let prompt = self.prompt.as_mut()?;
        match key {
            Key::Select => {
                let line = prompt.editor.text();
                prompt.editor = LineEditor::new(Echo::Shown, LINE_CHARS);
                return self.command(&line);
            }
            Key::Back => {
                self.prompt = None;
                self.leave();
            }
            Key::Up => prompt.recall(1),
            Key::Down => prompt.recall(-1),
            Key::Tab => {
                if let Some(longer) = words::complete(&prompt.editor.text()) {
                    prompt.editor = LineEditor::new(Echo::Shown, LINE_CHARS).with(&longer);
                }
            }
            key => prompt.editor.key(key),
        }
        None
    }

    fn command(&mut self, line: &str) -> Option<Ask> {
        self.say(vec![format!("> {line}")]);
        let columns = self.page.columns;
        if let Some(prompt) = self.prompt.as_mut().filter(|_| !line.trim().is_empty()) {
            prompt.before.push(line.to_owned());
            prompt.before.drain(..prompt.before.len().saturating_sub(REMEMBERED));
            prompt.recalled = 0;
        }
        match words::parse_line(line) {
            Ok(None) => None,
            Ok(Some(Command::Ask(ask, form))) => self.ask(ask, Awaits::Prompt(form)),
            Ok(Some(Command::Form(kind))) => self.begin(kind, None),
            Ok(Some(Command::Say(text))) => {
                self.say(lay::wrap(&text, columns));
                None
            }
            Ok(Some(Command::Leave)) => {
                self.prompt = None;
                self.leave();
                None
            }
            Err(why) => {
                self.say(lay::wrap(&why, columns));
                None
            }
        }
    }

    fn say(&mut self, lines: Vec<String>) {
        if let Some(prompt) = &mut self.prompt {
            prompt.lines.extend(lines);
            prompt.lines.drain(..prompt.lines.len().saturating_sub(PROMPT_LINES));
        }
    }

    // What is to be seen.

    fn home_lines(&self) -> Vec<String> {
        lay::lines(&home_rows(&self.facts), self.page)
    }

    /// What is to be seen now.
    #[must_use]
    pub fn scene(&self) -> Scene {
        let (title, body) = match &self.mode {
            Mode::Home { top } => {
                let lines = self.home_lines();
                let top = (*top).min(lines.len().saturating_sub(1));
                (self.facts.host_name.clone(), Body::Lines { lines, top })
            }
            Mode::Menu => {
                let (menu, at) = self.path.last().map_or((&Menu::Main, 0), |(menu, at)| (menu, *at));
                let list = entries(menu, &self.facts, self.reach);
                let at = at.min(list.len().saturating_sub(1));
                let entries = list.into_iter().map(|entry| (entry.title, entry.short, entry.value)).collect();
                (menu.title(), Body::Entries { entries, at })
            }
            Mode::Lines { title, lines, top } => {
                (title.clone(), Body::Lines { lines: lines.clone(), top: *top })
            }
            Mode::Form(filling) => {
                let question = self.fresh(filling);
                let lines = lay::lines(&question.rows, self.page);
                let (editor, note) = (filling.editor.clone(), filling.note.clone());
                (question.label.clone(), Body::Question { question: Box::new(question), lines, editor, note })
            }
            Mode::Prompt => {
                let empty = || LineEditor::new(Echo::Shown, LINE_CHARS);
                let (lines, editor) = self.prompt.as_ref().map_or_else(
                    || (Vec::new(), empty()),
                    |prompt| (prompt.lines.clone(), prompt.editor.clone()),
                );
                ("Command line".to_owned(), Body::Prompt { lines, editor })
            }
        };
        Scene { title, banner: banner(&self.facts), body }
    }

    /// The question with what it shows of the box as it is now: the seconds that are left, the time to recover.
    fn fresh(&self, filling: &Filling) -> Question {
        let mut question = filling.question.clone();
        if question.id == "confirm"
            && let Step::Question(now) =
                step(&filling.kind, &filling.answers, filling.done, &filling.last, &self.facts, self.reach)
        {
            question.rows = now.rows;
        }
        if matches!(filling.kind, FormKind::Login | FormKind::Claim)
            && self.reach == Reach::Keyboard
            && question.id != "new"
            && question.id != "again"
        {
            question.rows.splice(0..0, doorstep(&self.facts));
        }
        question
    }
}

impl Prompt {
    fn new() -> Self {
        let lines = vec!["Type help for the commands, exit to leave.".to_owned()];
        Self { lines, editor: LineEditor::new(Echo::Shown, LINE_CHARS), before: Vec::new(), recalled: 0 }
    }

    fn recall(&mut self, step: isize) {
        self.recalled = self.recalled.saturating_add_signed(step).min(self.before.len());
        let line = self.before.len().checked_sub(self.recalled).and_then(|at| self.before.get(at));
        let text = line.map_or("", String::as_str);
        self.editor = LineEditor::new(Echo::Shown, LINE_CHARS).with(text);
    }
}

fn reply_rows(reply: &Reply) -> Vec<Row> {
    if reply.is_done() {
        reply.rows.clone()
    } else {
        reply.problems.iter().map(|why| Row::text(why.as_str())).collect()
    }
}

/// What always stands above: a change on trial goes back by itself.
fn banner(facts: &Facts) -> Option<String> {
    match facts.stage {
        Stage::OnTrial(left) => {
            Some(format!("A change is on trial: confirm it within {left} s, or it is taken back."))
        }
        Stage::Standing | Stage::Staged => None,
    }
}

/// What is to be seen of the box before anybody logged in.
fn doorstep(facts: &Facts) -> Vec<Row> {
    let mut rows = vec![Row::new(
        "Box",
        format!("{} {}", facts.host_name, facts.serial_number.as_deref().unwrap_or("")).trim(),
    )];
    for nic in &facts.interfaces {
        rows.push(Row::new(nic.name.as_str(), nic_text(nic)));
    }
    if let Some(left) = facts.recovery_left {
        let text =
            format!("Password lost? For {left} s more, type recover to set it anew with the label's code.");
        rows.push(Row::text(text));
    }
    rows
}

/// Addresses and link of an interface in one line.
#[must_use]
pub fn nic_text(nic: &crate::protocol::Nic) -> String {
    let addresses = if nic.addresses.is_empty() { "no address".to_owned() } else { nic.addresses.join(" ") };
    format!("{addresses} ({})", nic.link)
}

/// What the panel shows when nobody uses it.
fn home_rows(facts: &Facts) -> Vec<Row> {
    if facts.panel == "off" && facts.ownership == Ownership::Claimed {
        return vec![Row::new(facts.host_name.as_str(), "runs")];
    }
    let mut rows = vec![Row::new(facts.host_name.as_str(), &facts.summary)];
    rows.extend(facts.alarms.iter().map(|alarm| Row::new("Alarm", alarm)));
    for nic in &facts.interfaces {
        let addresses = if nic.addresses.is_empty() { &nic.link } else { &nic.addresses[0] };
        rows.push(Row::new(nic.name.as_str(), addresses));
    }
    let slot = facts.slot.as_deref().map_or(String::new(), |slot| format!(" slot {slot}"));
    rows.push(Row::new("Gantry", format!("{}{slot}", facts.version)));
    if let Some(serial) = &facts.serial_number {
        rows.push(Row::new("Serial number", serial));
    }
    rows
}
