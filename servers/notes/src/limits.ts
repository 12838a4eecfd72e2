/** Most characters of a title. */
export const maxTitleLength = 200;
/** Most characters of a note's text: 64 Ki. */
export const maxTextLength = 65_536;
/** Most tags on one note. */
export const maxTags = 16;
/** Most characters of one tag. */
export const maxTagLength = 40;

/**
 * Most notes of one tenant. Writers in several processes do not count together, so a tenant may pass this by the
 * number of notes being added at the same moment.
 */
export const maxNotesPerTenant = 5_000;
/** Most characters (titles and texts) of one tenant's notes together, counted as `maxNotesPerTenant` is. */
export const maxCharactersPerTenant = 8_388_608;

/** Notes on one page of `list_notes` and `resources/list` when the caller does not say. */
export const defaultPageSize = 20;
/** Most notes on one page, and most results of one search. */
export const maxPageSize = 100;
/** Most characters of a search. */
export const maxQueryLength = 200;
/** Most characters of a page cursor. */
export const maxCursorLength = 100;
/** Most characters of a word that the search index keeps; the rest of a longer word is not searched. */
export const maxTermLength = 64;
/** Characters of text shown around the first match of a search result. */
export const snippetLength = 160;

/** Most notes that one prompt embeds, newest first. */
export const maxPromptNotes = 50;
/** Most characters of note text that one prompt embeds. */
export const maxPromptCharacters = 100_000;

/**
 * Most characters covered by all search indexes of this process together; the longest unused tenant goes first. An
 * index takes about 11 bytes of heap per character.
 */
export const maxIndexedCharacters = 12_582_912;
/** Most tenants that this process keeps a search index or a folder listing for. */
export const maxTenantsInMemory = 200;
/** Notes read at once while an index catches up. */
export const indexReadConcurrency = 16;

/** Most times that one change is tried again because another writer was faster. */
export const maxUpdateAttempts = 200;
/** Longest pause between two such attempts. */
export const maxUpdatePauseMs = 40;
