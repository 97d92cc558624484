//! Files of themes (P5): what callers see and hear of each, uploads and removals, which hold at once for what is shown and said next.

use super::Admin;
use super::access::{Role, Who};
use super::body::{Raw, Segment};
use super::book::{Book, Media, Method, Operation};
use super::problem::{Problem, Sort};
use super::resources::of_disk;
use crate::themes::{NotKept, Origin, ThemesRead, Used};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::theme::{File, FileKind, MAX_WAV_BYTES};
use serde::Serialize;
use serde_json::json;
use std::io::ErrorKind;
use std::sync::Arc;
use utoipa::ToSchema;

/// What files are sent as, and what they may come as.
const SENT: &[&str] = &["image/png", "audio/wav"];
const TAKEN: &[&str] = &["image/png", "audio/wav", "application/octet-stream"];
/// Names of WAV that are older, or registered (RFC 2361).
const ALSO_WAV: [&str; 3] = ["audio/x-wav", "audio/wave", "audio/vnd.wave"];

/// Which part of a prompt a file is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum PartOfPrompt {
    /// What is seen: PNG, 64x64 to 1920x1088 pixels, at most 4 MiB.
    Picture,
    /// What is heard: WAV, PCM of 16 bit, one or two channels, 8 to 48 kHz, at most 60 seconds.
    Voice,
}

/// Where a part of a theme comes from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum ThemeFileOrigin {
    /// The firmware.
    BuiltIn,
    /// The theme's folder on the box.
    Folder,
    /// An upload.
    Upload,
}

/// A part of a theme, as callers have it.
#[derive(Debug, Serialize, ToSchema)]
struct ThemeFile {
    /// What a file for it is called: `welcome.png`.
    file: String,
    /// The prompt it is for.
    prompt: &'static str,
    /// Which part of that.
    part: PartOfPrompt,
    /// What the built-in shows, or says.
    words: String,
    /// Where what callers have comes from.
    came_by: ThemeFileOrigin,
    /// What it is: `1280x720`, `4.2 s`.
    about: Option<String>,
    /// Why what is there can't be used, and the built-in stands for it.
    trouble: Option<String>,
}

/// All parts of a theme.
#[derive(Debug, Serialize, ToSchema)]
struct ThemeFiles {
    /// Picture and voice of each prompt.
    items: Vec<ThemeFile>,
}

/// Adds the routes.
pub fn add(book: &mut Book) {
    let themes = |method, path: &str, what: &str| {
        Operation::new(method, format!("/themes/{{id}}{path}"), "themes", what).with(
            "path",
            "id",
            json!({ "type": "string", "minLength": 1 }),
            "The theme's name.",
        )
    };
    let names: Vec<String> = File::all().map(|file| file.to_string()).collect();
    let one = |method, what: &str| {
        let names = json!({ "type": "string", "enum": names });
        themes(method, "/files/{file}", what).with("path", "file", names, "The file's name.")
    };
    book.add(
        themes(Method::Get, "/files", "What callers see and hear of a theme")
            .role(Role::Viewer)
            .gives::<ThemeFiles>()
            .problems(&[Sort::NotFound]),
        list,
    );
    book.add(
        one(Method::Get, "A file of a theme; where it has none, the built-in picture")
            .role(Role::Viewer)
            .gives_media(200, Media::Files(SENT))
            .problems(&[Sort::NotFound]),
        read,
    );
    let put = one(Method::Put, "Checks a picture (PNG) or a voice (WAV) and takes it into use at once");
    let put = Operation { takes: Media::Files(TAKEN), body_bytes: MAX_WAV_BYTES, ..put };
    book.add(put.gives::<ThemeFile>().problems(&[Sort::NotFound, Sort::Conflict]), upload);
    book.add(
        one(Method::Delete, "Takes an uploaded file away; what was there before it is used again")
            .problems(&[Sort::NotFound, Sort::Conflict]),
        remove,
    );
}

async fn list(
    State(admin): State<Arc<Admin>>,
    Segment(theme): Segment<String>,
) -> Result<Json<ThemeFiles>, Problem> {
    known(&admin, &theme)?;
    let read = admin.themes.now();
    Ok(Json(ThemeFiles { items: File::all().map(|file| shown(&read, &theme, file)).collect() }))
}

async fn read(
    State(admin): State<Arc<Admin>>,
    Segment((theme, file)): Segment<(String, String)>,
) -> Result<Response, Problem> {
    let file = named(&admin, &theme, &file)?;
    let name = theme.clone();
    let failed = move |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            Sort::NotFound.because(format!("{file} is not there any more; upload it again"))
        }
        _ => Sort::Failed.because(format!("{file} can't be read: {error}; upload it again")),
    };
    let found = admin.away(move |admin| admin.themes.file(&name, file).map_err(failed)).await?;
    let kind = [(header::CONTENT_TYPE, file.kind.media_type())];
    if let Some(bytes) = found {
        return Ok((kind, bytes).into_response());
    }
    match (file.kind, admin.themes.now().prompts.built_in_png(file.prompt)) {
        (FileKind::Picture, Some(png)) => Ok((kind, png).into_response()),
        _ => Err(Sort::NotFound.because(format!(
            "theme {theme:?} has no {file}; the built-in says: {}",
            file.prompt.words().spoken
        ))),
    }
}

async fn upload(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment((theme, file)): Segment<(String, String)>,
    Raw { kind, bytes }: Raw,
) -> Result<Json<ThemeFile>, Problem> {
    let file = named(&admin, &theme, &file)?;
    let wanted = file.kind.media_type();
    let also = file.kind == FileKind::Voice && ALSO_WAV.contains(&&*kind);
    if kind != wanted && !also && kind != "application/octet-stream" {
        return Err(Sort::MediaType.because(format!("{file} came as {kind:?}; send it as {wanted}")));
    }
    let name = theme.clone();
    admin.away(move |admin| admin.themes.put(&who.name, &name, file, &bytes)).await?;
    admin.show_themes().await;
    Ok(Json(shown(&admin.themes.now(), &theme, file)))
}

async fn remove(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment((theme, file)): Segment<(String, String)>,
) -> Result<StatusCode, Problem> {
    let file = named(&admin, &theme, &file)?;
    admin.away(move |admin| admin.themes.remove(&who.name, &theme, file)).await?;
    admin.show_themes().await;
    Ok(StatusCode::NO_CONTENT)
}

fn known(admin: &Admin, theme: &str) -> Result<(), Problem> {
    let missing = || Sort::NotFound.because(format!("there is no theme {theme:?}; make it first"));
    admin.themes.has(theme).then_some(()).ok_or_else(missing)
}

fn named(admin: &Admin, theme: &str, file: &str) -> Result<File, Problem> {
    known(admin, theme)?;
    file.parse().map_err(|refused: domain::theme::Refused| Sort::NotFound.because(refused.to_string()))
}

fn shown(read: &ThemesRead, theme: &str, file: File) -> ThemeFile {
    let (prompt, words) = (file.prompt.name(), file.prompt.words());
    let (part, words) = match file.kind {
        FileKind::Picture => (PartOfPrompt::Picture, format!("{}: {}", words.title, words.lines.join(", "))),
        FileKind::Voice => (PartOfPrompt::Voice, words.spoken.to_owned()),
    };
    let (origin, about, trouble) = match read.used.get(&(theme.to_owned(), file)) {
        Some(Used { origin, about, trouble }) => (*origin, about.clone(), trouble.clone()),
        None => (Origin::BuiltIn, None, None),
    };
    let came_by = match origin {
        Origin::BuiltIn => ThemeFileOrigin::BuiltIn,
        Origin::Folder => ThemeFileOrigin::Folder,
        Origin::Upload => ThemeFileOrigin::Upload,
    };
    ThemeFile { file: file.to_string(), prompt, part, words, came_by, about, trouble }
}

impl From<NotKept> for Problem {
    fn from(not_kept: NotKept) -> Self {
        match not_kept {
            NotKept::Unusable(error) => Sort::Invalid.because(error.to_string()),
            NotKept::Missing(..) | NotKept::NoTheme(_) => Sort::NotFound.because(not_kept.to_string()),
            NotKept::NoRoom(_) => Sort::Conflict.because(not_kept.to_string()),
            NotKept::Disk(error) => of_disk(&error),
            NotKept::NotDone(error) => error.into(),
        }
    }
}
