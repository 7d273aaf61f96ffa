"""First names common in France, folded: they tell "DUPONT Jeanne" from "Jeanne DUPONT". No name is refused for being absent."""

from __future__ import annotations

GIVEN_NAMES = frozenset(
    """
    aaron abbas abdallah abdel abdelaziz abdelhak abdelkader abdelkarim abdellah abdou abdoulaye abel abigail abraham achille ada
    adam adama adan adele adelaide adeline adelia adem adil adja adrian adriana adrien adrienne agathe aglae agnes ahmed aicha aida aime
    aimee aimie aissa aissata aissatou akim akram alain alan alana alassane alban albane albert alberto alcide aleksandra alessandro alessia
    alex alexandra alexandre alexandrine alexia alexis alfonso alfred ali alia alice alicia alienor alima alina aline alison alissa alix
    aliya alizee allan alma aloys alpha alphonse alya alyssa amadou amandine amar amaury ambre ambroise amel amelia amelie amina aminata
    amine amir amira ana anael anaelle anais anastasia anatole andre andrea andreas andree ange angel angela angele angelina angeline
    angelique anis anissa anita anna annabelle anne annette annick annie anouck anouk anselme anthony antoine antoinette antonin antonio
    apolline ariane arielle aristide arlette armand armande armelle arnaud arsene arthur assia assa astou astrid athenais aubin aude audrey auguste
    augustin augustine aurele aurelia aurelie aurelien aurore austin autumn awa axel axelle aya ayman aymeric aziz aziza
    babacar baptiste barbara bastien baudouin beatrice beatrix benedicte benjamin benoit berangere berenice bernadette bernard bertille
    bertrand bilal bilel binta blaise blanche blandine boris boubacar bouchra brahim brandon brian brice brieuc brigitte bruno bryan
    camelia camil camille candice capucine carine carl carla carlos carmen carole caroline cassandra cassandre catalina catherine cecile
    cecilia cedric celeste celestin celestine celia celina celine cesar chaima chantal charlene charles charlie charline charlotte cheikh cherif
    chiara chloe chris christel christelle christian christiane christina christine christophe christopher ciara cindy claire clara clarence
    clarisse claude claudette claudia claudie claudine clea clelia clemence clement clementine cleo cloe clotaire clothilde clotilde clovis
    coline colette colin constance constant constantin cora coralie corentin corine corinne cosme cyndi cynthia cyprien cyriaque cyril cyrille cyrine
    dalia dalila damia damien dana daniel daniela daniele danielle danny daouda daphne david deborah deborah delphine denis denise denys
    deniz desire desiree diana diane didier diego dieudonne dimitri dina djamel djamila djibril dominique dorian dorine doris dorothee dounia driss
    dylan eddy edgar edith edmond edmonde edouard edwige eglantine elena eleonore eleanor elia eliane elias elie eliette elif elina eline eliot elisa
    elisabeth elise elissa elizabeth ella elliot ellen elodie eloi eloise elora elsa elvire elvis emeline emeric emerick emile emilie emilien emilienne emily
    emma emmanuel emmanuelle emmy emre enora enrique enzo eric erica erick erika erwan erwann esma esteban estelle esther ethan etienne eudes eugene eugenie
    eva evan evann eve evelyne ezechiel fabian fabien fabienne fabio fabrice fadila faiza fanny fanta farah farid farida fares farouk fatiha fatima fatimata
    fatma fatou fatoumata fausto federico felicie felicien felicite felix ferdinand fernand fernande fernando filipe fiona firmin flavie flavien flore
    florence florent florentin florentine florian floriane florie florine fode francesca francesco francine francis francisco franck francois francoise
    frank franklin fred frederic frederick frederique gabin gabriel gabriela gabriele gabrielle gael gaelle gaetan gaetane garance gaspard gaston gauthier
    gautier gauvain genevieve geoffrey geoffroy george georges georgette georgina gerald geraldine gerard germain germaine gervais ghislain ghislaine gilbert
    giorgia giovanni gilberte gildas gilles gina ginette gisele gladys gloria goncalo gonzague gontran grace grazia gregoire gregory guenole guilhem guillaume guillemette gulsen gustave guy
    gwenael gwenaelle gwendal gwendoline gwenola hachem hadrien hafid hafida hafsa hakim halima hamed hamid hamza hana hanae hanane hanna hannah harold
    haroun harry harouna hasan hassan hassane hatice hector heidi helena helene helia heloise henri henriette henry herve hermine hicham hilaire hind hippolyte honore
    honorine hortense houda hubert hugo hugues husein hussein hyacinthe ian ibrahim ibrahima ibtissem idriss ikram ilan ilana ilham ilhan ilias ilona ilyas ilyes iman imane imed imran
    ines ingrid inaya ioana irena irene iris isaac isabel isabella isabelle isaure isaak isidore ismael ismail issa issam ivan jack jackie jacky jacqueline jacques jad jade
    jalil jamal james jamila jan jana jane janine jasmine jason javier jawad jean jeanine jeanne jeannette jeannine jennifer jenny jeremie jeremy jerome jessica
    jessy jihane jimmy joachim joan joana joanna joanne joao joaquim jocelyn jocelyne joel joelle joey joffrey john johan johann johanna johanne johnny jonas jonathan jordan
    jordane jordi jorge jose josef joseph josephine josette joshua josiane josselin josue joy joyce juan jude judith jules julia julian juliane julie julien julienne
    juliette junior juste justin justine kader kadiatou kadidia kadija kais kamal kamel karen karim karima karin karine karl kassandra katarina kate katell katharina
    katia katy kelly kelyan kenny kenza ketty kevin khadidja khadija khaled khalid khalil kilian killian kim kimberly kirsten konrad kyllian laetitia laila lamia
    lamine lana lara larbi larissa latifa laura laure laureen laureline lauren laurence laurent laurene laurette laurie laurianne laurine lauryn layla lea leandre leandro leane leatitia leila leïla
    lena lenny leo leon leonard leonardo leonie leonor leopold leopoldine leslie leticia levi lia liam liana lila lilia lilian liliane lili lilou lily lin lina linda line linh lino lionel lisa lisandro
    lise lisette lison livia liz loan loane loic lola lou louane louay louis louisa louise louisette louka loubna louna loup luc luca lucas luce lucette lucia lucie lucien lucienne lucile
    lucille lucrece ludivine ludovic luigi luis luisa luka lukas luna lydia lydie lyna lynda madeleine madeline madison mael maelle maelys maeva magali magalie magatte magdalena maggy
    mahamadou mahaut mahdi maiwenn maia maissa majid maja malaurie malek malia malick malik malika mallaury malo malou malvina mamadou manon manuel manuela manuella mara marc marceau marcel
    marcelin marceline marcelle marcelo marco marcus margaux margo margot marguerite maria mariam mariama mariana marianne marie mariella marielle mariem marina marine mario
    marion marisa marise marius marjolaine marjorie marlene marlon martha marthe martial martin martina martine marvin mary maryam maryame maryline maryse maryvonne
    mateo mathias mathieu mathilde mathis mathurin matteo matthew matthias matthieu matthis maud maude maureen maurice mauricette mauro max maxence maxime maximilien maya mayeul
    maylis mehdi mehmet melanie melina melinda melissa melodie melvin melyna meriem meryem messaoud mia michael michel micheline michele michelle mickael miguel
    mihaela mikael mikail mila milan milena milla milo mina minh mira miriam mireille mirella mohamed mohammed moise moira momar mona monia monica monique morad morgan morgane mouhamed mouna mounia mounir mourad
    moussa muriel murielle mustafa mustapha mylene myriam nabil nabila nada nadege nadia nadine nadir nael naim naima nahel nahla naomi narcisse nassim nassima natacha
    natalia natasha nathalie nathan nathanael nawal nawel neil nejma nelly nelson nesrine nestor nicholas nicola nicolas nicole nicoletta nils nina nino ninon noa noam noe noel
    noelie noella noelle noemie nolan nolwenn nora norah norbert nordine noreddine nouha nour noura noureddine oceane octave octavie odette odile oliver olga olive olivia
    olivier olympe omar ombeline ophelie oriane orlane oscar osman othmane ottavia oumar oumou oumaima oumaya ousmane owen pablo paco paola paolo pape pascal pascale pascaline patrice patricia
    patricio patrick paul paula paule paulette paulin pauline paulo pedro peggy penelope perle perrine peter petra petronille philibert philippe philippine philomene pia pierre pierrette
    pierrick pietro placide priscilla priscille prosper prudence quentin quitterie rabah rabia rachel rachid rachida rachelle radia rafael rafaela rafik raissa ralph rama ramata ramon ramzi rania raoul raphael
    raphaelle raul rayan raymond raymonde rayane rebecca redouane regine regis reine remi remy renan renato renaud rene renee reynald riad ricardo richard rita robert roberto
    robin roch rodolphe rodrigo rodrigue roger rokia roland rolande romain romaine roman romane romaric romeo romuald romy ronan rosa rosalie rose roselyne rosemary roseline rosine roxane ruben rudy ruth
    ryan saad sabah sabine sabrina sabri sacha sadio safia said saida saidou salah salim salima salimata salif sally salma salome salomon salvatore sam samantha samba sami samia samir samira samuel samy sana sandie
    sandra sandrine sandro sandy sanna santiago sara sarah saskia saul savannah sebastian sebastien segolene selena selim selin selma serena serge sergio sergei servane severine seydou shana shaima sheila shirley sidonie
    sidney sigrid silvia simeon simon simone sinan sira sixtine slimane sofia sofian sofiane sohan solal solange solene solenn solenne solveig sonia sophia sophie soraya souad soukaina soulaimane souleymane
    stacy stan stanislas stella stephan stephane stephanie stephen steve steven suzanne suzette suzie svetlana swann sybille sydney sylvain sylvaine sylvestre sylvia sylviane
    sylvette sylvie tamara tanguy tania tara tarek tarik tatiana tariq teddy teo tess tessa thais thea thelma theo theodore theophile theotime therese thibaud thibault thibaut thierry thomas tiago tiana tidiane tifany tiffany tim timeo
    timothe timothee timothy tina tiphaine titouan tobias tom tomas tony toussaint tristan tugdual typhaine ugo ulysse urbain ursula usman valentin valentina valentine valeria valerian valerie
    valery vanessa vera veronica veronique vianney vicente victoire victor victoria victorien victorine vincent violaine violette virgil virgile virginie vivian viviane vivien vladimir wael wafa walid walter wanda warren wassila wassim
    wendy wiam wilfrid wilfried william willy xavier yacine yaelle yael yacouba yamina yan yanis yann yannick yannis yara yasmina yasmine yassin yassine yaya ylan yoan yoann yohan yohann yolaine yolande yoni younes younous
    youri yousra youssef youssouf ysaline yseult yuna yusuf yvan yvann yves yvette yvon yvonne zacharie zachary zahra zaid zakaria zakary zara zeina zelie zeynep zineb zita zoe zoey zohra zora zouhair
    emil ewa agnieszka katarzyna malgorzata piotr tomasz pawel krzysztof andrei mihai elena irina oksana olena oleksandr dmytro yulia tetiana nataliia iryna
    thi thanh huong mai phuong anh hoang xiao wei jing ming li-na hao priya anjali raj arjun kavya sunita rohan
    bintou fatim djeneba hawa kadi maimouna mame ndeye rokhaya sokhna khady coumba penda sekou lassana boubou demba mamoudou bakary
    """.split()
)
