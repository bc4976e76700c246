"""tantivy: a search index; the names of its segments are drawn."""

import tantivy

schema = tantivy.SchemaBuilder()
schema.add_text_field("text", stored=True)
index = tantivy.Index(schema.build())
writer = index.writer(num_threads=1)
for number in range(50):
    writer.add_document(tantivy.Document(text=f"word{number % 5}"))
writer.commit()
index.reload()
searcher = index.searcher()
print([searcher.doc(address)["text"] for _, address in searcher.search(index.parse_query("word1 word2"), 8).hits])
