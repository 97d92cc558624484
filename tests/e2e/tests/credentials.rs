//! What the box proves itself by is changed while it is in use: the gateway runs in this process, its peers are real.

use anyhow::{Context, Result, ensure};
use domain::appliance::instant::UnixTime;
use domain::certificate::request::{Draft, SubjectDraft, Usage};
use domain::certificate::{CsrRequest, KeyKind, Purpose};
use domain::config::Config as GatewayConfig;
use e2e::gateway::{DOMAIN, MEETING, alias};
use e2e::lab::Lab;
use e2e::process::eventually;
use e2e::room::{Room, RoomConfig, Transport};
use e2e::scene::{PATIENCE, TOKEN};
use gatewayd::alarms::Places;
use gatewayd::certificates::{Credentials, DataKey, KeyStore, TokenHolder};
use gatewayd::media::Isolation;
use gatewayd::start::Gateway;
use meet_sim::issuer::TokenIssuer;
use meet_sim::{Config, GatewayTrust, MeetingConfig, SimEvent, Simulator, TokenConfig};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// How often the certificate is changed during the call.
const SWAPS: u64 = 20;

fn now() -> UnixTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime(now.as_secs())
}

fn simulator(gateways: Option<GatewayTrust>) -> Result<Simulator> {
    let config = Config {
        meetings: vec![MeetingConfig::new(MEETING)],
        tokens: vec![TokenConfig::trusted("tests", TOKEN)],
        gateways,
        ..Config::default()
    };
    Simulator::start(config)
}

/// A gateway in this process that joins `simulator`; `sip` are lines of its section `[sip]`.
fn gateway(lab: &Lab, simulator: &Simulator, sip: &str, credentials: &Credentials) -> Result<Gateway> {
    let ca = lab.path("conference-ca.pem");
    std::fs::write(&ca, simulator.ca_pem())?;
    let text = format!(
        "[gateway]\ndomains = [\"{DOMAIN}\"]\npublic_address = \"127.0.0.1\"\n\
         [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = []\n{sip}\
         [[tokens]]\nname = \"test\"\nvalue = \"{TOKEN}\"\ntrust = \"trusted\"\n\
         [[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"{}\"\nca_file = {ca:?}\n\
         [[rules]]\nname = \"meetings\"\npriority = 100\n",
        simulator.https_url(),
    );
    let config = GatewayConfig::parse("test", &text)?;
    Gateway::start(Arc::new(config), credentials.clone(), Places::system(None), Isolation::Thread)
}

/// Who signs the certificates that rooms trust.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(lab: &Lab) -> Result<Self> {
        let (key, file) = (KeyPair::generate()?, lab.path("sip-ca.pem"));
        let mut params = CertificateParams::new(vec![])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "tests");
        std::fs::write(&file, params.self_signed(&key)?.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), file })
    }

    /// A new key, its request signed, its chain in use.
    fn renew(&self, keys: &mut KeyStore, credentials: &Credentials) -> Result<()> {
        let kind = KeyKind::EcdsaP256;
        let draft = Draft { names: vec![DOMAIN.into()], key: Some(kind), subject: SubjectDraft::default() };
        let request = CsrRequest::new(&draft, Usage::Gateway).map_err(|all| anyhow::anyhow!("{all:?}"))?;
        let id = keys.generate(kind)?;
        let mut signed = CertificateSigningRequestParams::from_pem(&keys.csr(&id, &request)?)?;
        // baresip goes by the address that it connects to.
        signed.params.subject_alt_names.push(rcgen::SanType::IpAddress("127.0.0.1".parse()?));
        let chain = signed.signed_by(&self.issuer)?.pem();
        keys.upload(chain.as_bytes(), Purpose::Domains(&[DOMAIN.to_owned()]), now())?;
        credentials.tls.replace(keys.certified()?.context("a chain is in use")?)?;
        Ok(())
    }
}

/// Waits until the conference has had more of the room's sound and picture than now.
async fn media_goes_on(simulator: &Simulator, call: &str) -> Result<()> {
    let packets = || {
        let rooms = simulator.participants(MEETING);
        let room = rooms.iter().find(|one| one.call_id.as_deref() == Some(call))?;
        Some(room.sends.iter().map(|stream| stream.packets).collect::<Vec<_>>())
    };
    let before = packets().context("the room is gone")?;
    eventually("the room's media go on", PATIENCE, || {
        let after = packets()?;
        after.iter().zip(&before).all(|(after, before)| after > before).then_some(())
    })
    .await
}

/// The gateway's names of the calls that are in the meeting, once there are `count`.
async fn calls(simulator: &Simulator, count: usize) -> Result<Vec<String>> {
    eventually(&format!("{count} rooms are in the meeting and send"), PATIENCE, || {
        let rooms = simulator.participants(MEETING);
        let there =
            rooms.iter().filter(|room| room.connected && room.sends.iter().any(|stream| stream.alive));
        let calls: Vec<_> = there.filter_map(|room| room.call_id.clone()).collect();
        (calls.len() == count).then_some(calls)
    })
    .await
}

/// K2
#[tokio::test(flavor = "multi_thread")]
async fn k2_a_certificate_is_changed_twenty_times_during_a_call_over_tls_which_goes_on() -> Result<()> {
    let lab = Lab::new("certificate-swap")?;
    let (simulator, authority, credentials) =
        (simulator(None)?, Authority::new(&lab)?, Credentials::default());
    let data_key = Arc::new(DataKey::load(&lab.path("data.key"))?);
    let mut keys = KeyStore::open(&lab.path("keys"), data_key)?;
    authority.renew(&mut keys, &credentials)?;
    // The configuration wants files; what is in use is replaced right away.
    let (chain, key) = (lab.path("first.pem"), lab.path("first.key"));
    let first = KeyPair::generate()?;
    std::fs::write(&key, first.serialize_pem())?;
    std::fs::write(&chain, CertificateParams::new(vec![DOMAIN.to_owned()])?.self_signed(&first)?.pem())?;
    let sip = format!("tls = [\"127.0.0.1:0\"]\ncertificate = {chain:?}\nkey = {key:?}\n");
    let gateway = gateway(&lab, &simulator, &sip, &credentials)?;
    authority.renew(&mut keys, &credentials)?;
    let config = RoomConfig {
        transport: Transport::Tls,
        ca: Some(authority.file.clone()),
        ..RoomConfig::new(gateway.listening.tls[0])
    };
    let mut room = Room::start(&lab, "room", &config)?;

    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    let standing = calls(&simulator, 1).await?.remove(0);
    for _ in 0..SWAPS {
        authority.renew(&mut keys, &credentials)?;
        media_goes_on(&simulator, &standing).await?;
    }
    let mut late = Room::start(&lab, "late", &config)?;
    late.dial(&alias(MEETING))?;
    late.wait_connected(PATIENCE)?;
    let both = calls(&simulator, 2).await?;
    ensure!(both.contains(&standing), "the first call was lost: {both:?}");
    media_goes_on(&simulator, &standing).await?;
    // Its signalling stands as well: the BYE goes by the connection of the beginning.
    room.command("hangup")?;
    let left = calls(&simulator, 1).await?;
    ensure!(!left.contains(&standing), "the first call did not end: {left:?}");
    late.command("hangup")?;
    calls(&simulator, 0).await?;
    Ok(())
}

fn token_request(name: &str) -> Result<CsrRequest> {
    let subject = SubjectDraft { common_name: name.to_owned(), ..SubjectDraft::default() };
    let draft = Draft { names: vec![], key: Some(KeyKind::EcdsaP256), subject };
    CsrRequest::new(&draft, Usage::GatewayToken).map_err(|all| anyhow::anyhow!("{all:?}"))
}

/// The next event that says how the conference took a gateway's JWT.
async fn verdict(events: &mut tokio::sync::broadcast::Receiver<SimEvent>) -> Result<SimEvent> {
    let next = async {
        loop {
            let event = events.recv().await?;
            if matches!(event, SimEvent::Proven { .. } | SimEvent::Refused { .. }) {
                return Ok(event);
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.context("the conference said nothing of a JWT")?
}

/// P3
#[tokio::test(flavor = "multi_thread")]
async fn p3_a_gateway_token_is_asked_for_issued_and_uploaded_and_the_next_call_joins_by_it() -> Result<()> {
    let lab = Lab::new("gateway-token")?;
    let (issuer, stranger) = (TokenIssuer::generate()?, TokenIssuer::generate()?);
    let simulator = simulator(Some(GatewayTrust::Authority(issuer.root_pem().to_owned())))?;
    let credentials = Credentials::default();
    let data_key = Arc::new(DataKey::load(&lab.path("data.key"))?);
    let mut token = TokenHolder::open(&lab.path("token"), data_key, credentials.gateway_token.clone())?;
    let gateway = gateway(&lab, &simulator, "", &credentials)?;
    let config = RoomConfig { video: false, ..RoomConfig::new(gateway.listening.udp[0]) };
    let mut events = simulator.events();
    let mut room = Room::start(&lab, "room", &config)?;

    let request = token.request(&token_request("gateway-1")?)?;
    token.upload(issuer.sign(&request, 90)?.as_bytes(), now())?;
    room.dial(&alias(MEETING))?;
    let proven = verdict(&mut events).await?;
    ensure!(
        matches!(&proven, SimEvent::Proven { gateway, .. } if gateway == "gateway-1"),
        "the conference said {proven:?}"
    );
    calls(&simulator, 1).await?;
    room.command("hangup")?;
    calls(&simulator, 0).await?;

    // One that another authority issued is a good chain for this key, but not to this conference.
    let request = token.request(&token_request("gateway-1")?)?;
    token.upload(stranger.sign(&request, 90)?.as_bytes(), now())?;
    room.dial(&alias(MEETING))?;
    let refused = verdict(&mut events).await?;
    ensure!(
        matches!(&refused, SimEvent::Refused { code, .. } if code == "BAD_JWT"),
        "the conference said {refused:?}"
    );

    // Without one the access token alone decides.
    token.remove()?;
    room.dial(&alias(MEETING))?;
    calls(&simulator, 1).await?;
    Ok(())
}
