"""SQLite files, 3.37 and later, as leader or as follower: `sqlite:///path`, with `?attach=name=/other/path` beside it.

Files are opened read-only (`mode=ro`, `query_only`), and no transaction stays open between calls. A reader of a file in
rollback mode holds a shared lock while its statement runs, so a writer's commit waits that long at most: chunks are
short. In WAL mode nobody waits, and SQLite makes `-wal` and `-shm` beside the file where no program has it open: as
another user than root or the file's owner this is refused, because it would lock the owner out.

What SQLite does otherwise than servers do, and what is made of it here:

- Any value may stand in any column. What its declared type does not expect is spelled so that it equals nothing else
  (`values`); as a key it is refused by name.
- A primary key may hold NULL (but for `INTEGER PRIMARY KEY`, `WITHOUT ROWID` and `STRICT`). Such rows cannot be
  addressed: refused.
- Text is compared by the bytes of its UTF-8, whatever the collation of its column or the encoding of its file.
- There is no log. How often trueup saw the leader's file change is its position (`standing`): it proves that the file
  stood still between two looks, and nothing more. A file follows nobody.
"""
