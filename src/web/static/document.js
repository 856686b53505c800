// Shows the marked passage of a document's page at once.

document.getElementById("marked")?.scrollIntoView({ block: "center" });
