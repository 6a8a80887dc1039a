//! ListMultipartUploads: one page of uploads that have begun and not ended.

use serde::Deserialize;

use super::page::{UPLOADS, next_of_two};
use super::{Action, Again, Flaw, Outgoing, decoded, read_document};
use crate::counters::Operation;
use crate::error::Result;
use crate::net::link::Answer;
use crate::s3::time::{ServerTime, timestamp};

/// An upload of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    /// The key of the object that it is to make.
    pub key: String,
    /// Upload id.
    pub upload: String,
    /// When it began, in seconds since the epoch by the server's clock; `None` when the server does not say.
    pub initiated: ServerTime,
}

/// Where a listing of uploads goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadMarker {
    /// The key that the page ended at.
    pub key: String,
    /// The upload that it ended at; `None` behind the last one of the key.
    pub upload: Option<String>,
}

/// One page of uploads, in the server's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadPage {
    /// At most 1,000 uploads.
    pub uploads: Vec<ListedUpload>,
    /// Pass it to the next call; `None` on the last page.
    pub next: Option<UploadMarker>,
}

#[derive(Debug)]
pub(crate) struct ListMultipartUploads<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) next: Option<&'a UploadMarker>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMultipartUploadsResult {
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
    encoding_type: Option<String>,
    #[serde(rename = "Upload", default)]
    uploads: Vec<Upload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: Option<String>,
}

impl Action for ListMultipartUploads<'_> {
    type Output = UploadPage;

    const OPERATION: Operation = Operation::ListMultipartUploads;

    fn again(&self) -> Again {
        Again::Same
    }

    fn label(&self, bucket: &str) -> String {
        format!("LIST of uploads to {bucket}/{}*", self.prefix)
    }

    fn build(&self, bucket: &str) -> Result<Outgoing> {
        let behind = self.next.map(|next| (next.key.as_str(), next.upload.as_deref()));
        Ok(UPLOADS.page(bucket, self.prefix, behind))
    }

    fn parse(&self, answer: Answer) -> std::result::Result<UploadPage, Flaw> {
        let result: ListMultipartUploadsResult = read_document(&answer, "the listing of uploads")?;
        let encoding = result.encoding_type.as_deref();
        let (key, upload) = (result.next_key_marker, result.next_upload_id_marker);
        let next = next_of_two(result.is_truncated, key, upload, encoding)?;
        let next = next.map(|(key, upload)| UploadMarker { key, upload });
        let mut uploads = Vec::with_capacity(result.uploads.len());
        for upload in result.uploads {
            uploads.push(ListedUpload {
                key: decoded(upload.key, encoding)?,
                upload: upload.upload_id,
                initiated: upload.initiated.as_deref().and_then(timestamp),
            });
        }
        Ok(UploadPage { uploads, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    const LIST: ListMultipartUploads<'static> = ListMultipartUploads { prefix: "a b/", next: None };

    #[test]
    fn prefix_and_markers_are_encoded() {
        assert_eq!(LIST.build("lsu").unwrap().target, "/lsu?uploads=&encoding-type=url&prefix=a%20b%2F");
        let marker = UploadMarker { key: "a b/c".into(), upload: Some("u=1".into()) };
        assert_eq!(
            ListMultipartUploads { next: Some(&marker), ..LIST }.build("lsu").unwrap().target,
            "/lsu?uploads=&encoding-type=url&prefix=a%20b%2F&key-marker=a%20b%2Fc&upload-id-marker=u%3D1"
        );
    }

    #[test]
    fn a_page_is_read_and_decoded() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>lsu</Bucket>
            <KeyMarker/><UploadIdMarker/><EncodingType>url</EncodingType>
            <NextKeyMarker>a%20b/d</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>
            <MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>
            <Upload><Key>a+b/c%2B</Key><UploadId>u1</UploadId><Initiator><ID>x</ID></Initiator>
            <StorageClass>STANDARD</StorageClass><Initiated>2009-10-12T17:50:30.000Z</Initiated></Upload>
            <Upload><Key>a%20b/d</Key><UploadId>u2</UploadId></Upload></ListMultipartUploadsResult>"#;
        let page = LIST.parse(answer(200, &[], xml)).unwrap();
        assert_eq!(page.next, Some(UploadMarker { key: "a b/d".into(), upload: Some("u2".into()) }));
        assert_eq!(
            page.uploads,
            [
                ListedUpload { key: "a b/c+".into(), upload: "u1".into(), initiated: Some(1_255_369_830) },
                ListedUpload { key: "a b/d".into(), upload: "u2".into(), initiated: None },
            ]
        );
    }

    #[test]
    fn an_empty_page_is_the_last_and_a_cut_one_is_flawed() {
        let parse = |xml| LIST.parse(answer(200, &[], xml));
        assert_eq!(parse("<ListMultipartUploadsResult/>").unwrap(), UploadPage::default());
        let cut = "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>";
        assert!(parse(cut).is_err());
        assert!(parse("<ListMultipartUploadsResult><Upload><Key>a</Key></Upload>").is_err());
    }
}
