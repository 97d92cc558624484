//! A name server on loopback, which says what a test wants.

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use std::net::{IpAddr, Ipv4Addr};
use tokio::net::UdpSocket;

/// What it says of a name.
pub(crate) enum Zone {
    /// These records; without any, that the name has none of this type.
    Says(Vec<RData>),
    /// This failure.
    Fails(ResponseCode),
    /// Nothing at all.
    Silent,
}

/// Serves `zone` from now on, in the local set that runs; a resolver of the returned configuration asks it.
pub(crate) async fn serve(zone: fn(&str, RecordType) -> Zone) -> ResolverConfig {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let port = socket.local_addr().expect("an address").port();
    tokio::task::spawn_local(async move {
        let mut buffer = [0; 1_024];
        while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            let asked = Message::from_vec(&buffer[..count]).expect("a question");
            let Some(answer) = answer(&asked, zone) else { continue };
            socket.send_to(&answer.to_vec().expect("an answer"), from).await.expect("sent");
        }
    });
    let mut udp = ConnectionConfig::udp();
    udp.port = port;
    let server = NameServerConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), true, vec![udp]);
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

fn answer(asked: &Message, zone: fn(&str, RecordType) -> Zone) -> Option<Message> {
    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
    for query in &asked.queries {
        let name = query.name().to_utf8().trim_end_matches('.').to_owned();
        match zone(&name, query.query_type()) {
            Zone::Says(found) => {
                let record = |data| Record::from_rdata(query.name().clone(), 60, data);
                answer.add_answers(found.into_iter().map(record));
            }
            Zone::Fails(code) => answer.metadata.response_code = code,
            Zone::Silent => return None,
        }
        answer.add_query(query.clone());
    }
    Some(answer)
}
