//! `gantry`: the box at its serial console, its front panel and its command line.

use anyhow::{Context, Result, bail};
use console::client::Client;
use console::menu::form::{Answers, Step, step};
use console::menu::question::Kind;
use console::menu::{FormKind, Question, Reach};
use console::places::Places;
use console::protocol::{Ask, Hidden, Reply, Where};
use console::serial::Terminal;
use console::words::{self, Command, Form};
use console::{apply, data_key, life, notes, panel, serial, serve, stamping};
use domain::appliance::request::What;
use linux::stamping::{Links, LinuxProver};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

const SERVICES: &str = "\
Started by the service manager:
serve                   owns the settings and answers the others
serial [--terminal auto|vt100|dumb] [<tty>]   the set-up on the terminal at its input
panel                   the set-up on the front panel
apply <what>            does what was asked for: network, time, host-name, reboot, power-off, factory-reset, resume;
                        boot, data-key and forget at every start
record-stop <unit>      writes down why a service stopped
prove-stamps          finds out who stamps the packets of each network card
record-start, record-end   why the box restarted, and that it ends in good order
";

/// Exit status of a command that was not understood.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    // A made tree, for tests.
    let mut places = Places::default();
    if let ["--root", root, ..] = words[..] {
        places = Places::below(Path::new(root));
        words.drain(..2);
    }
    let done = match words[..] {
        ["--version"] => {
            println!("gantry {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        [] | ["--help" | "-h" | "help"] => say(&format!("{}\n\n{SERVICES}", words::help())),
        ["serve"] => serve::run(&places).map(|()| ExitCode::SUCCESS),
        ["serial", ref rest @ ..] => serial(rest, &places),
        ["panel"] => panel::run(&places).map(|()| ExitCode::SUCCESS),
        ["apply", what] => apply(what, &places),
        ["prove-stamps"] => prove_stamps(&places),
        ["record-stop", unit] => record_stop(unit, &places),
        ["record-start"] => life::start(&places).map(|line| say_all(&line.text)),
        ["record-end"] => {
            life::end(&places);
            Ok(ExitCode::SUCCESS)
        }
        ref words => command(words, &places),
    };
    done.unwrap_or_else(|error| {
        eprintln!("gantry: {error:#}");
        ExitCode::FAILURE
    })
}

fn say(text: &str) -> Result<ExitCode> {
    Ok(say_all(text))
}

/// Whoever does not read to the end, as `head` does, has read enough.
fn say_all(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")));
    ExitCode::SUCCESS
}

fn serial(rest: &[&str], places: &Places) -> Result<ExitCode> {
    // The name of the terminal is for the service manager's list; the terminal itself is the input.
    let terminal = match rest {
        [] | ["--terminal", "auto"] | ["--terminal", "auto", _] => Terminal::Auto,
        ["--terminal", "vt100"] | ["--terminal", "vt100", _] => Terminal::Vt100,
        ["--terminal", "dumb"] | ["--terminal", "dumb", _] => Terminal::Dumb,
        [tty] if !tty.starts_with('-') => Terminal::Auto,
        _ => bail!("serial takes: [--terminal auto|vt100|dumb] [<tty>]"),
    };
    serial::run(places, terminal).context("the terminal")?;
    Ok(ExitCode::SUCCESS)
}

fn apply(what: &str, places: &Places) -> Result<ExitCode> {
    match what {
        "boot" => apply::at_boot(places)?,
        "data-key" => data_key::ready(places)?,
        "forget" => apply::forget(places)?,
        "forget-data" => apply::forget_data(places)?,
        what => {
            let names = || What::ALL.map(What::name).join(", ");
            let what = What::parse(what)
                .with_context(|| format!("apply takes: {}, boot, data-key, forget, forget-data", names()))?;
            apply::request(what, places)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn record_stop(unit: &str, places: &Places) -> Result<ExitCode> {
    let line = notes::record_stop(places, unit, |name| std::env::var(name).ok()).context("reasons")?;
    line.into_iter().for_each(|line| eprintln!("{}", line.text));
    Ok(ExitCode::SUCCESS)
}

fn prove_stamps(places: &Places) -> Result<ExitCode> {
    let links = Links::watch().context("the news of links")?;
    let proofs =
        stamping::run(places, &mut LinuxProver, |most| links.wait(most)).context("who stamps packets")?;
    proofs.iter().for_each(|proof| println!("{proof}"));
    Ok(ExitCode::SUCCESS)
}

fn command(words: &[&str], places: &Places) -> Result<ExitCode> {
    let command = match words::parse(words) {
        Ok(command) => command,
        Err(why) => {
            eprintln!("gantry: {why}");
            return Ok(ExitCode::from(MISUSED));
        }
    };
    match command {
        Command::Say(text) => say(&text),
        Command::Leave => Ok(ExitCode::SUCCESS),
        Command::Ask(ask, form) => {
            let mut client = connect(places)?;
            Ok(tell(&client.ask(&ask).map_err(anyhow::Error::msg)?, form))
        }
        Command::Form(kind) => fill_in(kind, &mut connect(places)?),
    }
}

fn connect(places: &Places) -> Result<Client> {
    Client::connect(&places.socket(), Where::Command).map_err(anyhow::Error::msg)
}

fn tell(reply: &Reply, form: Form) -> ExitCode {
    let lines = words::written(reply, form, 100);
    if reply.is_done() || form == Form::Json {
        say_all(&lines.join("\n"));
    } else {
        lines.iter().for_each(|line| eprintln!("gantry: {line}"));
    }
    if reply.is_done() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Asks the questions of a form on the command line, and has done what they lead to.
fn fill_in(kind: FormKind, client: &mut Client) -> Result<ExitCode> {
    let (mut kind, mut answers, mut done, mut last) = (kind, Answers::default(), 0, Reply::default());
    // A form has few questions, and each may be answered wrongly some times.
    for _ in 0..64 {
        let facts = client.facts().map_err(anyhow::Error::msg)?;
        match step(&kind, &answers, done, &last, &facts, Reach::Keyboard) {
            Step::Question(question) => {
                let Some(answer) = ask(&question)? else { bail!("nobody answers") };
                match question.check(&answer) {
                    Ok(()) => answers.0.push((question.id, Hidden(answer))),
                    Err(why) => eprintln!("{why}"),
                }
            }
            Step::Ask(asked) => {
                let reply = client.ask(&asked).map_err(anyhow::Error::msg)?;
                if !reply.is_done() {
                    return Ok(tell(&reply, Form::Text));
                }
                done += 1;
                last = reply;
            }
            Step::Again(ids, why) => {
                eprintln!("{why}");
                answers.0.retain(|(id, _)| !ids.contains(id));
            }
            Step::End(rows, next) => {
                tell(&Reply { rows, ..Reply::default() }, Form::Text);
                let Some(next) = next else { return Ok(ExitCode::SUCCESS) };
                (kind, answers, done, last) = (next, Answers::default(), 0, Reply::default());
            }
        }
    }
    bail!("that was answered wrongly too often")
}

/// One question and the line that answers it; `None` at the end of the input. What is empty takes what is offered.
fn ask(question: &Question) -> Result<Option<String>> {
    let rows = Reply { rows: question.rows.clone(), ..Reply::default() };
    words::written(&rows, Form::Text, 100)
        .iter()
        .filter(|line| !line.is_empty())
        .for_each(|line| eprintln!("{line}"));
    if let Kind::Choice(options) = &question.kind {
        options.iter().for_each(|(value, shown)| eprintln!("  {value}: {shown}"));
    }
    let (hint, offer) = (question.hint(), question.offer());
    let hint = if hint.is_empty() { hint } else { format!(" ({hint})") };
    let shown = if offer.is_empty() { String::new() } else { format!(" [{offer}]") };
    eprint!("{}{hint}{shown}: ", question.label);
    let hidden = matches!(question.kind, Kind::Password);
    let line = read_line(hidden)?;
    Ok(line.map(|line| if line.is_empty() { offer } else { line }))
}

/// A line of the input; a terminal does not show what is hidden.
fn read_line(hidden: bool) -> Result<Option<String>> {
    let stdin = std::io::stdin();
    let before = if hidden && stdin.is_terminal() { tcgetattr(&stdin).ok() } else { None };
    if let Some(before) = &before {
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&stdin, SetArg::TCSAFLUSH, &silent)?;
    }
    let mut line = String::new();
    let read = stdin.lock().take(4_096).read_line(&mut line);
    if let Some(before) = &before {
        tcsetattr(&stdin, SetArg::TCSAFLUSH, before)?;
        eprintln!();
    }
    let count = read.context("the answer")?;
    Ok((count > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Asks are whole types; this one only says which of them the command line never sends.
#[allow(
    dead_code,
    reason = "it fails to compile when a new ask is added and nobody thought of the command line"
)]
fn every_ask_is_thought_of(ask: &Ask) -> &'static str {
    match ask {
        Ask::Hello { .. } | Ask::Facts | Ask::Awake | Ask::Logout | Ask::Held | Ask::Login { .. } => {
            "not a command"
        }
        Ask::Prove { .. } | Ask::Own { .. } | Ask::Password { .. } | Ask::Reset { .. } => "a form",
        Ask::Show { .. }
        | Ask::Set { .. }
        | Ask::Discard
        | Ask::Apply
        | Ask::Confirm
        | Ask::TakeBack
        | Ask::Reboot { .. }
        | Ask::PowerOff { .. }
        | Ask::Drain
        | Ask::Resume
        | Ask::Forgive { .. }
        | Ask::Locate { .. }
        | Ask::Test { .. }
        | Ask::Bundle { .. } => "a command",
    }
}
