-- People (accounts, sessions, blocks), and functions that all migrations share.

create function lock_key(lock text) returns int
language plpgsql immutable strict parallel safe as $$
declare
  key int := case lock
    when 'migration' then 72707369
    when 'event log' then 7237123
    when 'event pruning' then 7237124
    when 'event id leap' then 7237125
    when 'stored bytes' then 7237126
    when 'personal storage' then 7237127
    when 'foreign token' then 7237128
    when 'new webhook' then 7237129
  end;
begin
  -- With a null as the key, the lock functions would lock nothing.
  if key is null then raise exception 'there is no advisory lock "%"', lock; end if;
  return key;
end $$;
comment on function lock_key is 'The keys of all advisory locks. Must match src/postgres/advisory-lock.ts, which describes them.';

create function refuse_foreign_rows() returns void
language plpgsql as $$
begin
  raise exception 'only triggers of its own table may call this function' using errcode = 'insufficient_privilege';
end $$;
comment on function refuse_foreign_rows is
  'Trigger functions that run with their owner''s rights check their table: a trigger on another table could pass them forged rows.';

create function seal_schema() returns void
language plpgsql set search_path = public, pg_temp as $$
declare
  command text;
begin
  perform write_clear_tombstone();
  for command in
    select format('create trigger refuse_truncate before truncate on %1$I execute function refuse_truncate(); '
      'alter table %1$I enable always trigger refuse_truncate', c.relname)
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> '_prisma_migrations'
      and pg_has_role(c.relowner, 'usage')
      and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'refuse_truncate')
    union all
    -- Triggers also fire for writers with session_replication_role = replica.
    select format('alter table %I enable always trigger %I', c.relname, t.tgname)
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = 'public'::regnamespace and pg_has_role(c.relowner, 'usage')
      and not t.tgisinternal and t.tgenabled <> 'A'
    union all
    -- No function is executable by everyone, except those of extensions, which stay as they are.
    select format('revoke execute on function %s from public', p.oid::regprocedure)
    from pg_proc p
    where p.pronamespace = 'public'::regnamespace and pg_has_role(p.proowner, 'usage')
      and exists (
        select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) where grantee = 0
      )
      and not exists (
        select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
      )
    union all
    -- A function that another role creates here could be called in place of one of PostgreSQL's, with our rights. (A
    -- database from before PostgreSQL 15 lets every role create here.)
    select 'revoke create on schema public from public'
    from pg_namespace n
    where n.nspname = 'public' and pg_has_role(n.nspowner, 'usage')
      and exists (select from aclexplode(n.nspacl) where grantee = 0 and privilege_type = 'CREATE')
  loop
    execute command;
  end loop;
end $$;
comment on function seal_schema is
  'Each migration that creates a table, a trigger or a function ends by calling it. It ensures that a tombstone clears all rows that refer to its message, that no table can be truncated, that triggers also fire for replication, and that PUBLIC can neither execute our functions nor create others in their schema.';

-- PUBLIC may not execute functions that later migrations create either.
alter default privileges revoke execute on functions from public;

-- One line of text: not blank, no control characters, no surrounding whitespace.
create function is_line(value text, max_length int) returns boolean
language sql immutable parallel safe
return char_length(value) between 1 and max_length
  and value !~ '[\u0001-\u001f\u007f-\u009f]'
  and value ~ '^\S(.*\S)?$';
comment on function is_line is 'Must match the line rule in src/core/text.ts.';

-- Text of several lines: the only control characters allowed are newline and tab.
create function is_text(value text, max_length int) returns boolean
language sql immutable parallel safe
return char_length(value) between 1 and max_length
  and value !~ '[\u0001-\u0008\u000b-\u001f\u007f-\u009f]'
  and value ~ '\S';
comment on function is_text is 'Must match the text rule in src/core/text.ts.';

create function fold(value text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  -- Fast path for ASCII, which most names are.
  if octet_length(value) = char_length(value) then return lower(value collate "C"); end if;
  return translate(lower(value collate "C"),
    'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮİĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽƁƂƄƆƇƉƊ'
    'ƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮƯƱƲƳƵƷƸƼǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦȨȪȬȮȰȲȺȻȽȾɁɃɄɅɆɈɊɌɎ'
    'ͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫϏϘϚϜϞϠϢϤϦϨϪϬϮϴϷϹϺϽϾϿЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪ'
    'ЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤ'
    'ԦԨԪԬԮԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖႠႡႢႣႤႥႦႧႨႩႪႫႬႭႮႯႰႱႲႳႴႵႶႷႸႹႺႻႼႽႾႿჀჁჂჃჄჅჇჍᎠᎡᎢᎣᎤᎥᎦᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰ'
    'ᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯᏰᏱᏲᏳᏴᏵᲉᲐᲑᲒᲓᲔᲕᲖᲗᲘᲙᲚᲛᲜᲝᲞᲟᲠᲡᲢᲣᲤᲥᲦᲧᲨᲩᲪᲫᲬᲭ'
    'ᲮᲯᲰᲱᲲᲳᲴᲵᲶᲷᲸᲹᲺᲽᲾᲿḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀẂẄẆẈẊẌẎẐẒẔẞẠẢẤẦẨẪẬẮ'
    'ẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸỺỼỾἈἉἊἋἌἍἎἏἘἙἚἛἜἝἨἩἪἫἬἭἮἯἸἹἺἻἼἽἾἿὈὉὊὋὌὍὙὛὝὟὨὩὪὫὬὭὮὯᾈᾉᾊᾋᾌᾍᾎᾏᾘᾙᾚᾛ'
    'ᾜᾝᾞᾟᾨᾩᾪᾫᾬᾭᾮᾯᾸᾹᾺΆᾼῈΈῊΉῌῘῙῚΊῨῩῪΎῬῸΌῺΏῼΩKÅℲⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫⅬⅭⅮⅯↃⒶⒷⒸⒹⒺⒻⒼⒽⒾⒿⓀⓁⓂⓃⓄⓅⓆⓇⓈⓉⓊⓋⓌⓍⓎⓏⰀⰁⰂⰃⰄⰅⰆⰇⰈⰉⰊⰋⰌⰍⰎⰏⰐ'
    'ⰑⰒⰓⰔⰕⰖⰗⰘⰙⰚⰛⰜⰝⰞⰟⰠⰡⰢⰣⰤⰥⰦⰧⰨⰩⰪⰫⰬⰭⰮⰯⱠⱢⱣⱤⱧⱩⱫⱭⱮⱯⱰⱲⱵⱾⱿⲀⲂⲄⲆⲈⲊⲌⲎⲐⲒⲔⲖⲘⲚⲜⲞⲠⲢⲤⲦⲨⲪⲬⲮⲰⲲⲴⲶⲸⲺⲼⲾⳀⳂⳄⳆⳈⳊⳌⳎⳐⳒⳔⳖⳘⳚⳜⳞⳠⳢⳫⳭⳲꙀ'
    'ꙂꙄꙆꙈꙊꙌꙎꙐꙒꙔꙖꙘꙚꙜꙞꙠꙢꙤꙦꙨꙪꙬꚀꚂꚄꚆꚈꚊꚌꚎꚐꚒꚔꚖꚘꚚꜢꜤꜦꜨꜪꜬꜮꜲꜴꜶꜸꜺꜼꜾꝀꝂꝄꝆꝈꝊꝌꝎꝐꝒꝔꝖꝘꝚꝜꝞꝠꝢꝤꝦꝨꝪꝬꝮꝹꝻꝽꝾꞀꞂꞄꞆꞋꞍꞐꞒꞖꞘꞚꞜꞞꞠꞢꞤꞦꞨꞪꞫꞬꞭ'
    'ꞮꞰꞱꞲꞳꞴꞶꞸꞺꞼꞾꟀꟂꟄꟅꟆꟇꟉꟋꟌ꟎Ꟑ꟒꟔ꟖꟘꟚꟜꟵＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇𐐈𐐉𐐊𐐋𐐌𐐍𐐎𐐏𐐐𐐑𐐒𐐓𐐔𐐕𐐖𐐗𐐘𐐙𐐚𐐛𐐜𐐝𐐞𐐟𐐠𐐡𐐢𐐣𐐤𐐥𐐦𐐧𐒰𐒱𐒲𐒳𐒴'
    '𐒵𐒶𐒷𐒸𐒹𐒺𐒻𐒼𐒽𐒾𐒿𐓀𐓁𐓂𐓃𐓄𐓅𐓆𐓇𐓈𐓉𐓊𐓋𐓌𐓍𐓎𐓏𐓐𐓑𐓒𐓓𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕𐲀𐲁𐲂𐲃𐲄𐲅𐲆𐲇𐲈𐲉𐲊𐲋𐲌𐲍𐲎𐲏𐲐𐲑𐲒𐲓𐲔𐲕𐲖𐲗𐲘𐲙𐲚𐲛𐲜𐲝𐲞𐲟𐲠𐲡'
    '𐲢𐲣𐲤𐲥𐲦𐲧𐲨𐲩𐲪𐲫𐲬𐲭𐲮𐲯𐲰𐲱𐲲𐵐𐵑𐵒𐵓𐵔𐵕𐵖𐵗𐵘𐵙𐵚𐵛𐵜𐵝𐵞𐵟𐵠𐵡𐵢𐵣𐵤𐵥𑢠𑢡𑢢𑢣𑢤𑢥𑢦𑢧𑢨𑢩𑢪𑢫𑢬𑢭𑢮𑢯𑢰𑢱𑢲𑢳𑢴𑢵𑢶𑢷𑢸𑢹𑢺𑢻𑢼𑢽𑢾𑢿𖹀𖹁𖹂𖹃𖹄𖹅𖹆𖹇𖹈𖹉𖹊𖹋𖹌𖹍𖹎𖹏𖹐𖹑𖹒𖹓𖹔𖹕𖹖𖹗𖹘𖹙𖹚𖹛𖹜'
    '𖹝𖹞𖹟𖺠𖺡𖺢𖺣𖺤𖺥𖺦𖺧𖺨𖺩𖺪𖺫𖺬𖺭𖺮𖺯𖺰𖺱𖺲𖺳𖺴𖺵𖺶𖺷𖺸𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇𞤈𞤉𞤊𞤋𞤌𞤍𞤎𞤏𞤐𞤑𞤒𞤓𞤔𞤕𞤖𞤗𞤘𞤙𞤚𞤛𞤜𞤝𞤞𞤟𞤠𞤡',
    'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįiĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžɓƃƅɔƈɖɗ'
    'ƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈưʊʋƴƶʒƹƽǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧȩȫȭȯȱȳⱥȼƚⱦɂƀʉʌɇɉɋɍɏ'
    'ͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋϗϙϛϝϟϡϣϥϧϩϫϭϯθϸϲϻͻͼͽѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъ'
    'ыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥ'
    'ԧԩԫԭԯաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆⴀⴁⴂⴃⴄⴅⴆⴇⴈⴉⴊⴋⴌⴍⴎⴏⴐⴑⴒⴓⴔⴕⴖⴗⴘⴙⴚⴛⴜⴝⴞⴟⴠⴡⴢⴣⴤⴥⴧⴭꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀ'
    'ꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿᏸᏹᏺᏻᏼᏽᲊაბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭ'
    'ხჯჰჱჲჳჴჵჶჷჸჹჺჽჾჿḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕßạảấầẩẫậắ'
    'ằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹỻỽỿἀἁἂἃἄἅἆἇἐἑἒἓἔἕἠἡἢἣἤἥἦἧἰἱἲἳἴἵἶἷὀὁὂὃὄὅὑὓὕὗὠὡὢὣὤὥὦὧᾀᾁᾂᾃᾄᾅᾆᾇᾐᾑᾒᾓ'
    'ᾔᾕᾖᾗᾠᾡᾢᾣᾤᾥᾦᾧᾰᾱὰάᾳὲέὴήῃῐῑὶίῠῡὺύῥὸόὼώῳωkåⅎⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻⅼⅽⅾⅿↄⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩⰰⰱⰲⰳⰴⰵⰶⰷⰸⰹⰺⰻⰼⰽⰾⰿⱀ'
    'ⱁⱂⱃⱄⱅⱆⱇⱈⱉⱊⱋⱌⱍⱎⱏⱐⱑⱒⱓⱔⱕⱖⱗⱘⱙⱚⱛⱜⱝⱞⱟⱡɫᵽɽⱨⱪⱬɑɱɐɒⱳⱶȿɀⲁⲃⲅⲇⲉⲋⲍⲏⲑⲓⲕⲗⲙⲛⲝⲟⲡⲣⲥⲧⲩⲫⲭⲯⲱⲳⲵⲷⲹⲻⲽⲿⳁⳃⳅⳇⳉⳋⳍⳏⳑⳓⳕⳗⳙⳛⳝⳟⳡⳣⳬⳮⳳꙁ'
    'ꙃꙅꙇꙉꙋꙍꙏꙑꙓꙕꙗꙙꙛꙝꙟꙡꙣꙥꙧꙩꙫꙭꚁꚃꚅꚇꚉꚋꚍꚏꚑꚓꚕꚗꚙꚛꜣꜥꜧꜩꜫꜭꜯꜳꜵꜷꜹꜻꜽꜿꝁꝃꝅꝇꝉꝋꝍꝏꝑꝓꝕꝗꝙꝛꝝꝟꝡꝣꝥꝧꝩꝫꝭꝯꝺꝼᵹꝿꞁꞃꞅꞇꞌɥꞑꞓꞗꞙꞛꞝꞟꞡꞣꞥꞧꞩɦɜɡɬ'
    'ɪʞʇʝꭓꞵꞷꞹꞻꞽꞿꟁꟃꞔʂᶎꟈꟊɤꟍ꟏ꟑꟓꟕꟗꟙꟛƛꟶａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲𐐳𐐴𐐵𐐶𐐷𐐸𐐹𐐺𐐻𐐼𐐽𐐾𐐿𐑀𐑁𐑂𐑃𐑄𐑅𐑆𐑇𐑈𐑉𐑊𐑋𐑌𐑍𐑎𐑏𐓘𐓙𐓚𐓛𐓜'
    '𐓝𐓞𐓟𐓠𐓡𐓢𐓣𐓤𐓥𐓦𐓧𐓨𐓩𐓪𐓫𐓬𐓭𐓮𐓯𐓰𐓱𐓲𐓳𐓴𐓵𐓶𐓷𐓸𐓹𐓺𐓻𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼𐳀𐳁𐳂𐳃𐳄𐳅𐳆𐳇𐳈𐳉𐳊𐳋𐳌𐳍𐳎𐳏𐳐𐳑𐳒𐳓𐳔𐳕𐳖𐳗𐳘𐳙𐳚𐳛𐳜𐳝𐳞𐳟𐳠𐳡'
    '𐳢𐳣𐳤𐳥𐳦𐳧𐳨𐳩𐳪𐳫𐳬𐳭𐳮𐳯𐳰𐳱𐳲𐵰𐵱𐵲𐵳𐵴𐵵𐵶𐵷𐵸𐵹𐵺𐵻𐵼𐵽𐵾𐵿𐶀𐶁𐶂𐶃𐶄𐶅𑣀𑣁𑣂𑣃𑣄𑣅𑣆𑣇𑣈𑣉𑣊𑣋𑣌𑣍𑣎𑣏𑣐𑣑𑣒𑣓𑣔𑣕𑣖𑣗𑣘𑣙𑣚𑣛𑣜𑣝𑣞𑣟𖹠𖹡𖹢𖹣𖹤𖹥𖹦𖹧𖹨𖹩𖹪𖹫𖹬𖹭𖹮𖹯𖹰𖹱𖹲𖹳𖹴𖹵𖹶𖹷𖹸𖹹𖹺𖹻𖹼'
    '𖹽𖹾𖹿𖺻𖺼𖺽𖺾𖺿𖻀𖻁𖻂𖻃𖻄𖻅𖻆𖻇𖻈𖻉𖻊𖻋𖻌𖻍𖻎𖻏𖻐𖻑𖻒𖻓𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫𞤬𞤭𞤮𞤯𞤰𞤱𞤲𞤳𞤴𞤵𞤶𞤷𞤸𞤹𞤺𞤻𞤼𞤽𞤾𞤿𞥀𞥁𞥂𞥃');
end $$;
comment on function fold is
  'Folds the case of names and addresses letter by letter, as Unicode 16 defines it. lower() depends on the locale of the database: a Turkish one turns ''I'' into ''ı''.';

create function refuse_truncate() returns trigger
language plpgsql as $$
begin
  raise exception '% cannot be truncated, because no events would be written: delete its rows', tg_table_name
    using errcode = 'feature_not_supported';
end $$;
comment on function refuse_truncate is 'TRUNCATE fires no row triggers, so open streams would receive no events.';

create table users (
  id bigint generated by default as identity primary key,
  username text not null check (username ~ '^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$'),
  email text not null check (char_length(email) <= 254 and email ~ '^[^@\s]+@[^@\s]+$'),
  display_name text check (is_line(display_name, 64)),
  created_at timestamptz(3) not null default now(),
  deleted_at timestamptz(3),
  avatar_file_id bigint,
  -- An erased account is named erased_ followed by its id.
  constraint username_is_not_reserved check (
    deleted_at is not null
    or fold(username) not in ('everyone', 'here', 'channel', 'admin', 'system', 'parley')
      and not starts_with(fold(username), 'erased_')
  )
);
comment on constraint username_is_not_reserved on users is 'Must match src/account/username.ts.';
comment on column users.deleted_at is
  'Set when the user erases the account: from then on it belongs to no one, and it is deleted once nothing refers to it.';
-- Sign-up and sign-in look users up case-insensitively.
create unique index users_username_key on users (fold(username));
create unique index users_email_key on users (fold(email));
-- The search for users matches prefixes of their names and lists the users by name. Comparing bytes lets one index
-- serve both.
create index users_username_search_idx on users ((fold(username) collate "C"), id);
create index users_display_name_search_idx on users ((fold(display_name) collate "C"), id);
-- Finds the user who has a file as their avatar. Partial, so that changing the column does not count as changing a key,
-- which would wait for all transactions that refer to the row.
create unique index users_avatar_file_id_key on users (avatar_file_id) where avatar_file_id is not null;

create table credentials (
  user_id bigint primary key references users on delete cascade on update cascade,
  password_hash text not null
);
comment on table credentials is
  'What users authenticate with, in a separate table, so that statements that read users never read a hash. A user without a row has no password.';
comment on column credentials.password_hash is 'Argon2id, encoded with its parameters and salt.';

create table sessions (
  id bigint generated by default as identity primary key,
  user_id bigint not null references users on delete cascade on update cascade,
  user_agent text check (char_length(user_agent) <= 256),
  created_at timestamptz(3) not null default now(),
  last_used_at timestamptz(3) not null default now(),
  stream_token_generation integer not null default 0
);
create index sessions_user_id_idx on sessions (user_id);
comment on column sessions.stream_token_generation is 'Stream tokens of an earlier generation are no longer valid.';

create table refresh_tokens (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  session_id bigint not null references sessions on delete cascade on update cascade,
  created_at timestamptz(3) not null default now(),
  used_at timestamptz(3)
);
create index refresh_tokens_session_id_idx on refresh_tokens (session_id);

create table known_networks (
  user_id bigint not null references users on delete cascade on update cascade,
  network_hash bytea not null check (octet_length(network_hash) = 32),
  used_at timestamptz(3) not null default clock_timestamp(),
  primary key (user_id, network_hash)
);
comment on table known_networks is 'The networks that an account has signed in from: guesses by others do not slow down sign-ins from there.';

-- rate-limiter-flexible defines the columns and their order. Unlogged, because a crash may reset the counters.
create unlogged table rate_limits (
  key text primary key check (char_length(key) <= 255),
  points integer not null default 0,
  expire bigint
);
comment on table rate_limits is 'Written by rate-limiter-flexible (src/core/rate-limit.ts). Keys of users and networks are hashes.';
-- Serves the housekeeping that deletes expired counters.
create index rate_limits_expire_idx on rate_limits (expire);

create table blocks (
  blocker_id bigint not null references users on delete cascade on update cascade,
  blocked_id bigint not null references users on delete cascade on update cascade,
  blocked_at timestamptz(3) not null default clock_timestamp(),
  primary key (blocker_id, blocked_id),
  constraint nobody_blocks_themselves check (blocker_id <> blocked_id)
);
-- Serves the deletion of an account, which deletes other users' blocks of it.
create index blocks_blocked_id_idx on blocks (blocked_id);
-- Serves a user's list of blocked users, newest first.
create index blocks_blocker_id_blocked_at_blocked_id_idx on blocks (blocker_id, blocked_at, blocked_id);

create type erased_messages as enum ('KEEP', 'DELETE');

create table account_deletions (
  user_id bigint primary key references users on delete cascade on update cascade,
  messages erased_messages not null,
  requested_at timestamptz(3) not null default now()
);
comment on table account_deletions is 'Accounts whose erasure is not complete. Housekeeping continues it, even after a crash.';
comment on column account_deletions.messages is 'Whether the messages stay, without a sender, or become tombstones.';

-- Events about people -----------------------------------------------------------------------------------------------

create function draft_profile_update() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'users'::regclass then perform refuse_foreign_rows(); end if;
  insert into event_drafts (events) values (jsonb_build_array(jsonb_build_object(
    'kind', 'UserUpdated', 'audience', 'ACQUAINTANCES', 'user_id', new.id, 'actor_id', new.id)));
  return null;
end $$;
comment on function draft_profile_update is 'Drafts UserUpdated when the public profile of a user changes.';

create trigger draft_profile_update after update of username, display_name, avatar_file_id on users for each row
  when ((old.username, old.display_name, old.avatar_file_id)
      is distinct from (new.username, new.display_name, new.avatar_file_id)
    and new.deleted_at is null)
  execute function draft_profile_update();

create function draft_ended_sessions() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'sessions'::regclass then perform refuse_foreign_rows(); end if;
  insert into event_drafts (events)
  select jsonb_agg(jsonb_build_object('kind', 'SessionEnded', 'audience', 'PERSON', 'user_id', user_id,
    'detail', jsonb_build_object('session_id', id::text)) order by id)
  from deleted having count(*) > 0;
  return null;
end $$;
comment on function draft_ended_sessions is 'Drafts SessionEnded, an internal event that ends the session''s streams on every node.';

create trigger draft_ended_sessions after delete on sessions
  referencing old table as deleted for each statement execute function draft_ended_sessions();
