use super::*;

#[test]
fn partition_a_voter_is_asked_for_where_its_node_is_heard_from() {
    let node =
        |id: &str, url: &str| NodeValue { id: id.into(), record_url: url.into(), ..NodeValue::default() };
    let (first, six) = (node("a", "https://10.77.0.1:2379"), node("b", "https://[2001:db8::1]:2379"));
    let learner = node("c", "");
    let heard = |id: &str, address: &str| (id.to_owned(), address.parse::<IpAddr>().unwrap());
    type Row<'a> = (&'a str, Vec<NodeValue>, Vec<(String, IpAddr)>, &'a [&'a str], &'a [&'a str]);
    let rows: Vec<Row<'_>> = vec![
        ("not heard", vec![first.clone()], vec![], &[], &[]),
        ("where it was", vec![first.clone()], vec![heard("a", "10.77.0.1")], &[], &[]),
        (
            "elsewhere",
            vec![first.clone()],
            vec![heard("a", "10.77.0.11")],
            &["https://10.77.0.1:2379"],
            &["https://10.77.0.11:2379"],
        ),
        (
            "elsewhere, and known there",
            vec![first.clone()],
            vec![heard("a", "10.77.0.11")],
            &["https://10.77.0.11:2379"],
            &[],
        ),
        (
            "another family",
            vec![six, first.clone()],
            vec![heard("b", "2001:db8::9"), heard("a", "10.77.0.11")],
            &[],
            &["https://[2001:db8::9]:2379", "https://10.77.0.11:2379"],
        ),
        ("one without a voter", vec![learner], vec![heard("c", "10.77.0.13")], &[], &[]),
        ("nobody's", vec![first], vec![heard("z", "10.77.0.66")], &[], &[]),
        ("a place that is none", vec![node("a", "ftp://x")], vec![heard("a", "10.77.0.11")], &[], &[]),
    ];
    for (name, nodes, heard, known, want) in rows {
        let known: Vec<_> = known.iter().map(|url| (*url).to_owned()).collect();
        assert_eq!(plan_elsewhere(&nodes, &heard, &known), want, "{name}");
    }
}

#[test]
fn partition_somebody_who_says_that_he_is_a_voter_has_to_prove_it() {
    let id = "0123abcd-4567-89ab-cdef-0123456789ab";
    let node = NodeValue {
        id: id.into(),
        record_url: "https://10.77.0.1:2379".into(),
        key_sha256: "k".into(),
        ..NodeValue::default()
    };
    let learner = NodeValue { record_url: String::new(), ..node.clone() };
    let keyless = NodeValue { key_sha256: String::new(), ..node.clone() };
    let said = |id: &str, at: &str| (id.to_owned(), at.parse::<SocketAddr>().unwrap());
    let own = "0123abcd4567";
    let (four, six) = ("https://10.77.0.11:2379", "https://[fd00::9]:2379");
    let there = [four];
    type Row<'a> = (&'a str, &'a NodeValue, Vec<(String, SocketAddr)>, &'a [&'a str], Vec<&'a str>);
    let rows: Vec<Row<'_>> = vec![
        ("nobody says anything", &node, vec![], &[], vec![]),
        ("elsewhere", &node, vec![said(own, "10.77.0.11:8443")], &[], vec![four]),
        ("where it was", &node, vec![said(own, "10.77.0.1:8443")], &[], vec![]),
        ("known there", &node, vec![said(own, "10.77.0.11:8443")], &there, vec![]),
        ("another node", &node, vec![said("0123abcd4568", "10.77.0.11:8443")], &[], vec![]),
        ("no id", &node, vec![said("", "10.77.0.11:8443")], &[], vec![]),
        ("one that has no voter", &learner, vec![said(own, "10.77.0.11:8443")], &[], vec![]),
        ("one whose key is not known", &keyless, vec![said(own, "10.77.0.11:8443")], &[], vec![]),
        ("this machine itself", &node, vec![said(own, "127.0.0.1:8443")], &[], vec![]),
        (
            "good on its wire only",
            &node,
            vec![said(own, "[fe80::1%2]:8443"), said(own, "169.254.1.1:8443")],
            &[],
            vec![],
        ),
        (
            "two who say so",
            &node,
            vec![said(own, "10.77.0.11:8443"), said(own, "[fd00::9]:8443")],
            &[],
            vec![four, six],
        ),
    ];
    for (name, node, said, known, want) in rows {
        let known: Vec<_> = known.iter().map(|url| (*url).to_owned()).collect();
        let claims = plan_claims(std::slice::from_ref(node), &said, &known);
        let urls: Vec<_> = claims.iter().map(|claim| claim.url.as_str()).collect();
        assert_eq!(urls, want, "{name}");
        assert!(claims.iter().all(|claim| claim.key == "k"), "{name}");
    }
    let many: Vec<_> = (2..200).map(|n| said(own, &format!("10.77.1.{n}:8443"))).collect();
    assert_eq!(plan_claims(&[node], &many, &[]).len(), MOST, "not everybody is asked");
}
