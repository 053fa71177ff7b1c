//! Tests of reading protobuf bodies.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2, u8::try_from(content.len()).unwrap()];
    out.extend(content);
    out
}

fn body(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), bytes(1, &meta), bytes(2, message), bytes(3, b""), bytes(4, b"")].concat()
}

fn read(body: &[u8]) -> Result<String, ProtobufError> {
    let name = |gvk: &Gvk| match gvk.kind.as_str() {
        "ConfigMap" => Some("io.k8s.api.core.v1.ConfigMap"),
        "Pod" => Some("io.k8s.api.core.v1.Pod"),
        "Service" => Some("io.k8s.api.core.v1.Service"),
        _ => None,
    };
    decode(body, name).map(|value| value.to_json())
}

#[test]
fn reads_maps_and_metadata() {
    // A name, an empty namespace, and the zero time as an empty message.
    let metadata = [bytes(1, b"a"), bytes(3, b""), bytes(8, b"")].concat();
    let entry = [bytes(1, b"key"), bytes(2, b"value")].concat();
    let message = [bytes(1, &metadata), bytes(2, &entry)].concat();
    let read = read(&body("v1", "ConfigMap", &message)).unwrap();
    assert_eq!(
        read,
        r#"{"apiVersion":"v1","data":{"key":"value"},"kind":"ConfigMap","metadata":{"name":"a","namespace":""}}"#
    );
}

#[test]
fn reads_inlined_and_special_messages() {
    // Volume "v" with an emptyDir of 1Gi: the source's fields stand in the volume.
    let quantity = bytes(1, b"1Gi");
    let source = bytes(2, &bytes(2, &quantity));
    let volume = [bytes(1, b"v"), bytes(2, &source)].concat();
    let spec = bytes(1, &volume);
    let pod = read(&body("v1", "Pod", &bytes(2, &spec))).unwrap();
    assert!(pod.contains(r#""volumes":[{"emptyDir":{"sizeLimit":"1Gi"},"name":"v"}]"#), "{pod}");
    // A service port whose target is a number, and one whose target is a name.
    let numbered = [number(3, 80), bytes(4, &[number(1, 0), number(2, 90), bytes(3, b"")].concat())].concat();
    let named = [number(3, 81), bytes(4, &[number(1, 1), number(2, 0), bytes(3, b"http")].concat())].concat();
    let spec = [bytes(1, &numbered), bytes(1, &named)].concat();
    let service = read(&body("v1", "Service", &bytes(2, &spec))).unwrap();
    assert!(
        service.contains(r#""ports":[{"port":80,"targetPort":90},{"port":81,"targetPort":"http"}]"#),
        "{service}"
    );
}

#[test]
fn refuses_what_is_no_message() {
    assert_eq!(read(b"{}"), Err(ProtobufError::NoPrefix));
    assert_eq!(read(&body("v1", "Unheard", b"")), Err(ProtobufError::UnknownKind("Unheard".to_owned())));
    let truncated = body("v1", "ConfigMap", &[10, 200]);
    assert_eq!(read(&truncated), Err(ProtobufError::Wire(WireError::Truncated)));
}
